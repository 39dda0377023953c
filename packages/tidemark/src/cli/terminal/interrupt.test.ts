import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { createInterrupt } from './interrupt.js'

const open = () => {
  const source = new EventEmitter()
  const exits: number[] = []
  return { source, exits, interrupt: createInterrupt(source, (code) => exits.push(code)) }
}

test('the first signal aborts with the last words, the second ends the process', () => {
  const { source, exits, interrupt } = open()
  interrupt.setLastWords({ state: 'half is done.', fix: 'Go on with resume.' })
  source.emit('SIGINT')
  expect(interrupt.signal.reason).toMatchObject({
    code: 'TM_CLI_INTERRUPTED',
    message: 'Interrupted: half is done.',
    fix: 'Go on with resume.',
    exitCode: 130,
  })
  expect(exits).toEqual([])
  source.emit('SIGTERM')
  expect(exits).toEqual([130])
})

test('after release, signals are not ours any more', () => {
  const { source, interrupt } = open()
  interrupt.release()
  source.emit('SIGINT')
  expect(interrupt.signal.aborted).toBe(false)
  expect(source.eventNames()).toEqual([])
})
