import type { MoveState } from '../../move/live/live-state.js'
import type { MoveEvent, MoveListener, MovePhase } from '../../move/move.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { formatDuration } from '../../time/durations.js'
import { counted, progressLines, summaryLine } from '../text/progress-text.js'
import { createMoveProgress } from './move-progress.js'
import type { Terminal } from './terminal.js'

/** Shows a move's progress on stderr until it is stopped. */
export interface ProgressDisplay {
  readonly onEvent: MoveListener
  /** Writes a line, ended, above what is drawn over. */
  print(text: string): void
  /** Takes away what can be drawn over. To be called before anything else is written. */
  stop(): void
}

const redrawEveryMs = 100
const lineEveryMs = 5000

const finished: Readonly<Record<MovePhase, string>> = {
  plan: 'read',
  prepare: 'prepared',
  copy: 'copied',
  index: 'indexed',
  verify: 'verified',
  follow: 'reloaded',
  cutover: 'switched',
  mirror: 'mirrored',
  rollback: 'compared',
}

const stateWords: Readonly<Record<MoveState, string>> = {
  planned: 'The plan stands.',
  copying: 'Copying: the application goes on writing to SQLite.',
  copied: 'The copy is complete.',
  following: 'Following: every write to SQLite reaches Postgres.',
  cuttingOver: 'Switching: writes wait.',
  mirroring: 'Postgres takes the writes; SQLite is kept in step.',
  rollingBack: 'Going back: writes wait.',
  rolledBack: 'SQLite takes the writes again.',
  finished: 'The move is finished.',
  aborted: 'The move is taken back.',
}

/** What is worth a line of its own; the rest only moves the bars. */
const lineOf = (event: MoveEvent): string | undefined => {
  if (event.type === 'notice') return event.message
  // That a table was read for the plan says nothing: what became of it does.
  if (event.type === 'table' && event.state === 'finished' && event.phase !== 'plan')
    return `  ${event.table}: ${counted(event.rows, 'row')} ${finished[event.phase]}`
  if (event.type === 'object' && event.state === 'failed')
    return `  ${event.kind} ${event.name} was not made: ${event.reason ?? 'unknown'}`
  if (event.type === 'state') return `  ${stateWords[event.to]}`
  if (event.type === 'step' && event.state === 'finished') return `  ${event.step}: ${formatDuration(event.elapsedMs)}`
  return undefined
}

const cursorUpAndClear = (lines: number): string => (lines > 0 ? `\u001b[${lines}A\u001b[0J` : '')

const createBars = (terminal: Terminal, clock: Clock): ProgressDisplay => {
  const progress = createMoveProgress(() => clock.monotonicMs())
  let drawn = 0
  let drawnAt = Number.NEGATIVE_INFINITY
  const clear = (): void => {
    terminal.stderr.write(cursorUpAndClear(drawn))
    drawn = 0
  }
  const draw = (): void => {
    const lines = progressLines(progress.view(), terminal.stderr.columns ?? 80, terminal.colors)
    terminal.stderr.write(`${cursorUpAndClear(drawn)}${lines.join('\n')}\n`)
    drawn = lines.length
    drawnAt = clock.monotonicMs()
  }
  const print = (text: string): void => {
    clear()
    terminal.stderr.write(text)
    draw()
  }
  // Between events the time left runs on, and a long index has nothing to tell.
  const ticker = setInterval(draw, 1000)
  ticker.unref()
  return {
    onEvent: (event) => {
      progress.take(event)
      const line = lineOf(event)
      if (line !== undefined) print(`${line}\n`)
      else if (clock.monotonicMs() - drawnAt >= redrawEveryMs) draw()
    },
    print,
    stop: () => {
      clearInterval(ticker)
      clear()
    },
  }
}

const periodic: ReadonlySet<MoveEvent['type']> = new Set(['progress', 'lag', 'check'])

const createLines = (terminal: Terminal, clock: Clock): ProgressDisplay => {
  const progress = createMoveProgress(() => clock.monotonicMs())
  let saidAt = clock.monotonicMs()
  const say = (text: string): void => {
    saidAt = clock.monotonicMs()
    terminal.note(text)
  }
  return {
    onEvent: (event) => {
      progress.take(event)
      const line = event.type === 'phase' ? `${summaryLine(progress.view())} …` : lineOf(event)
      if (line !== undefined) say(line)
      else if (periodic.has(event.type) && clock.monotonicMs() - saidAt >= lineEveryMs) say(summaryLine(progress.view()))
    },
    print: (text) => terminal.stderr.write(text),
    stop: () => {},
  }
}

/** Bars where stderr can be drawn over, at most ten times a second; plain lines elsewhere. */
export const createProgressDisplay = (terminal: Terminal, clock: Clock = systemClock): ProgressDisplay =>
  terminal.live ? createBars(terminal, clock) : createLines(terminal, clock)
