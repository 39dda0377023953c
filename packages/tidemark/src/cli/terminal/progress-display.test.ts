import { PassThrough } from 'node:stream'
import pc from 'picocolors'
import { expect, test } from 'vitest'
import type { MoveEvent } from '../../move/move.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { createProgressDisplay } from './progress-display.js'
import { createScreen } from './screen.js'
import type { Terminal } from './terminal.js'

const open = (live: boolean) => {
  const stream = new PassThrough()
  const stderr = Object.assign(stream, { isTTY: live, columns: 80 }) as unknown as NodeJS.WriteStream
  const terminal = {
    live,
    stderr,
    colors: pc.createColors(false),
    note: (text: string) => void stderr.write(`${text}\n`),
  } as unknown as Terminal
  return { terminal, written: () => String(stream.read() ?? '').replaceAll('\u001b', 'ESC'), clock: createFakeClock() }
}

const progressAt = (rowsDone: number): MoveEvent => ({
  type: 'progress',
  phase: 'copy',
  table: 'a',
  rowsDone,
  rowsTotal: 1000,
  bytesDone: 0,
})
const started: MoveEvent = { type: 'phase', phase: 'copy', rowsTotal: 1000 }

test('a terminal is redrawn at most ten times a second, over what was drawn before', async () => {
  const { terminal, written, clock } = open(true)
  const display = createProgressDisplay(terminal, clock)
  display.onEvent(started)
  for (let i = 1; i <= 50; i++) display.onEvent(progressAt(i))
  expect(written().match(/Copying/g)).toHaveLength(1)
  await clock.advance(100)
  display.onEvent(progressAt(60))
  expect(written()).toMatch(/^ESC\[1AESC\[0J.*60 of 1,000 rows/s)
  display.stop()
  expect(written()).toBe('ESC[2AESC[0J')
})

test('a line that is worth keeping goes above the bars', () => {
  const { terminal, written, clock } = open(true)
  const display = createProgressDisplay(terminal, clock)
  display.onEvent(started)
  written()
  display.onEvent({ type: 'notice', message: 'the disk is slow' })
  expect(written()).toMatch(/^ESC\[1AESC\[0Jthe disk is slow\nCopying/)
  display.stop()
})

test('elsewhere there are plain lines, at most one for progress in five seconds', async () => {
  const { terminal, written, clock } = open(false)
  const display = createProgressDisplay(terminal, clock)
  display.onEvent(started)
  display.onEvent(progressAt(1))
  await clock.advance(5000)
  display.onEvent(progressAt(500))
  display.onEvent(progressAt(501))
  display.onEvent({ type: 'table', phase: 'copy', table: 'a', state: 'finished', rows: 1000 })
  display.onEvent({ type: 'object', name: 'a_check', kind: 'check', state: 'failed', reason: 'no such function' })
  display.stop()
  const lines = written().trimEnd().split('\n')
  expect(lines[0]).toBe('Copying · 0 of 1,000 rows …')
  expect(lines[1]).toMatch(/^Copying · 500 of 1,000 rows · \d+ rows\/s · .* left$/)
  expect(lines.slice(2)).toEqual(['  a: 1,000 rows copied', '  check a_check was not made: no such function'])
})

test('log lines share the screen with a display, and have it alone before and after', async () => {
  const { terminal, written } = open(true)
  const screen = createScreen(terminal)
  screen.print('before\n')
  const display = createProgressDisplay(terminal)
  await screen.during(display, async () => {
    display.onEvent(started)
    screen.print('within\n')
  })
  screen.print('after\n')
  expect(written()).toMatch(/^before\nCopying.*\nESC\[1AESC\[0Jwithin\nCopying.*\nESC\[1AESC\[0Jafter\n$/)
})
