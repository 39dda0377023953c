import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { checkGate, named } from './gate.js'
import { nextCommands, possibleWords } from './next-commands.js'
import { Pause, Steps } from './pause.js'

describe('what can be done next', () => {
  it('is said as commands that a shell takes', () => {
    expect(nextCommands('following', '/data/my app.db').map(({ command }) => command)).toEqual([
      "tidemark move follow '/data/my app.db'",
      "tidemark move cutover '/data/my app.db'",
      "tidemark move reads 25% '/data/my app.db'",
      "tidemark move abort '/data/my app.db'",
    ])
    expect(nextCommands('copied', "/o'hara.db")[0]!.command).toBe("tidemark move '/o'\\''hara.db'")
    expect(nextCommands('finished', '/a.db')).toEqual([])
  })

  it('is said in a sentence', () => {
    expect(possibleWords('cuttingOver', 'a.db')).toBe('`tidemark move cutover a.db` finishes or undoes the switch that was begun')
    expect(possibleWords('aborted', 'a.db')).toBe('nothing; a new `tidemark move` begins another')
  })
})

describe('a gate', () => {
  it('names a few and counts the rest', () => {
    expect([named(['a', 'b']), named(['a', 'b', 'c', 'd', 'e', 'f', 'g'])]).toEqual(['a, b', 'a, b, c, d, e and 2 more'])
  })

  it('lets a clean report through, and says what a dirty one found', () => {
    const clean = { ok: true, rangesLeft: [], keysChecked: 3, differenceCount: 0, differences: [], elapsedMs: 1 }
    expect(() => checkGate('cutover', 'a.db', clean)).not.toThrow()
    const first = { table: 't', key: 'id=1', state: 'differs', columns: [], foundAt: new Date() } as const
    expect(() =>
      checkGate('cutover', 'a.db', { ...clean, ok: false, differenceCount: 2, differences: [first], rangesLeft: ['u'] }),
    ).toThrow('The cutover of a.db was not made: 2 rows differ (first: id=1 in t), and the comparison of u is not complete.')
    expect(() => checkGate('rollback', 'a.db', { ...clean, ok: false })).toThrow('the last comparison did not end well')
  })
})

describe('a pause', () => {
  it('is over when its time is, and says what took it', async () => {
    const clock = createFakeClock()
    const pause = new Pause({ kind: 'cutover', path: 'a.db', maxPauseMs: 2_000, clock, signal: new AbortController().signal })
    await clock.advance(1_500)
    pause.check('draining')
    expect([pause.isOver, pause.remainingMs]).toEqual([false, 500])
    await clock.advance(600)
    expect([pause.isOver, pause.remainingMs]).toEqual([true, 1])
    expect(() => pause.check('draining')).toThrow(/refused for 2100 ms .* the 2000 ms allowed; it was draining/)
    pause.stop()
  })

  it('ends with whoever asked for it', () => {
    const stop = new AbortController()
    const pause = new Pause({ kind: 'rollback', path: 'a.db', maxPauseMs: 2_000, signal: stop.signal })
    stop.abort(new Error('enough'))
    expect(() => pause.check('draining')).toThrow('enough')
    expect(pause.signal.aborted).toBe(true)
    pause.stop()
  })

  it('counts what each step took', async () => {
    const clock = createFakeClock()
    const steps = new Steps(clock)
    await steps.take('one', async () => clock.advance(40))
    await expect(steps.take('two', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect([steps.taken, steps.elapsedMs]).toEqual([[{ step: 'one', elapsedMs: 40 }], 40])
  })
})
