import { closingLine, type Figure, judge, type Measure, summaryTable } from '../measuring/report.ts'
import { percentile, ratios } from '../measuring/statistics.ts'
import type { WriterSummary } from './app-writer.ts'
import type { CatchUpRound } from './catch-up.ts'
import type { SwitchJson } from './live-commands.ts'

export interface MoveLiveResults {
  /** Commits a second that the application was asked to make. */
  readonly rate: number
  readonly caughtUp: readonly CatchUpRound[]
  /** In order. */
  readonly late: readonly number[]
  readonly cutovers: readonly SwitchJson[]
  readonly rollbacks: readonly SwitchJson[]
  readonly seenCutovers: readonly number[]
  readonly seenRollbacks: readonly number[]
  readonly summary: WriterSummary
}

export interface MoveLiveReport {
  readonly met: boolean
  readonly text: string
}

/** Figures, verdict, and the closing lines. */
export const moveLiveReport = (results: MoveLiveResults): MoveLiveReport => {
  const { rate, caughtUp, late, summary } = results
  const perChangeUs = caughtUp.map(({ followMs, followed }) => (followMs * 1000) / followed)
  const handUs = caughtUp.map(({ batchedMs, changes }) => (batchedMs * 1000) / changes)
  const [p50, p99] = [[percentile(late, 0.5)], [percentile(late, 0.99)]]
  const [cutovers, rollbacks] = [results.cutovers, results.rollbacks].map((all) => all.map(({ pauseMs }) => pauseMs)) as [
    number[],
    number[],
  ]
  const thousands = (us: readonly number[]) => us.map((each) => 1000 / each)
  const unit = 'thousand changes a second'
  const figures: readonly Figure[] = [
    { name: 'catching up, batched upserts', values: thousands(handUs), unit },
    { name: 'catching up, tidemark', values: thousands(perChangeUs), unit },
    {
      name: 'catching up, tidemark, from the start of its process',
      values: caughtUp.map(({ commandMs, changes }) => changes / commandMs),
      unit,
    },
    { name: `commit to Postgres at ${rate} commits/s, p50`, values: p50, unit: 'ms' },
    { name: `commit to Postgres at ${rate} commits/s, p99`, values: p99, unit: 'ms' },
    { name: 'cutover, by its own report', values: cutovers, unit: 'ms' },
    { name: 'cutover, as the application saw it', values: results.seenCutovers, unit: 'ms' },
    { name: 'rollback, by its own report', values: rollbacks, unit: 'ms' },
    { name: 'rollback, as the application saw it', values: results.seenRollbacks, unit: 'ms' },
    { name: 'commits of the application outside of pauses', values: [summary.rate], unit: 'a second' },
  ]
  const catchUp: Measure = { name: 'move-catch-up', baseline: 'batched-upserts', values: ratios(perChangeUs, handUs) }
  const slowness: Measure = { name: 'move-catch-up-us-per-change', values: perChangeUs }
  const lag50: Measure = { name: 'move-lag-p50-ms', values: p50 }
  const lag99: Measure = { name: 'move-lag-p99-ms', values: p99 }
  // The longest, not the one in the middle: whoever switches does it once.
  const cutover: Measure = { name: 'move-cutover-pause-ms', values: [Math.max(...results.seenCutovers)] }
  const rollback: Measure = { name: 'move-rollback-pause-ms', values: [Math.max(...results.seenRollbacks)] }
  const verdict = judge([
    { measure: slowness, what: 'catching up: at most 100 µs a change (10,000 a second)', limit: 100 },
    { measure: lag99, what: '99 of 100 commits in Postgres within 1 s', limit: 1000 },
    { measure: cutover, what: 'no cutover stops the application for longer than 2 s', limit: 2000 },
    { measure: rollback, what: 'no rollback stops the application for longer than 2 s', limit: 2000 },
  ])
  const closing = [catchUp, slowness, lag50, lag99, cutover, rollback].map(closingLine)
  return { met: verdict.met, text: [summaryTable(figures), '', ...verdict.lines, '', ...closing].join('\n') }
}
