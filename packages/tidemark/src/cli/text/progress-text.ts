import type { MovePhase } from '../../move/move.js'
import { formatDuration } from '../../time/durations.js'
import type { ProgressView, TableProgress } from '../terminal/move-progress.js'
import type { Colors } from '../terminal/terminal.js'
import { bytesText } from './feed-text.js'

/** 1234567 as people read it: 1,234,567. */
export const grouped = (n: number): string => Math.round(n).toLocaleString('en-US')

/** `1 row`, `2 rows`. */
export const counted = (n: number, noun: string): string => `${grouped(n)} ${noun}${n === 1 ? '' : 's'}`

const doing: Readonly<Record<MovePhase, string>> = {
  plan: 'Reading',
  prepare: 'Preparing',
  copy: 'Copying',
  index: 'Indexing',
  verify: 'Verifying',
  follow: 'Following',
  cutover: 'Cutting over',
  mirror: 'Mirroring',
  rollback: 'Rolling back',
}

const leftText = (ms: number | undefined): string => (ms === undefined ? '' : `${formatDuration(ms)} left`)

const speedText = (perSecond: number): string => (perSecond > 0 ? `${grouped(perSecond)} rows/s` : '')

const joined = (parts: readonly string[]): string => parts.filter((part) => part !== '').join(' · ')

/** How the comparison that runs beside a live move stands. */
const checkText = ({ check }: ProgressView): string => {
  if (check === undefined) return ''
  if (check.differences > 0) return `${counted(check.differences, 'row')} differ`
  return check.done ? 'all rows compared' : `${grouped(check.rowsDone)} of ${counted(check.rowsTotal, 'row')} compared`
}

type Lag = NonNullable<ProgressView['lag']>

/** A mirror that is up to date still has to read what Postgres wrote for others; that it has done so within a second is as good as having none. */
const upToDateMs = 1000

const behindText = (lag: Lag): string => {
  if (lag.phase === 'follow') return lag.behind === 0 ? '' : `${counted(lag.behind, 'change')} behind`
  if (lag.behindMs < upToDateMs || lag.behindBytes === 0) return ''
  return lag.behindBytes === null ? 'behind' : `${bytesText(lag.behindBytes)} of Postgres' log behind`
}

const lagText = (lag: Lag): string => {
  const behind = behindText(lag)
  return behind === '' ? 'up to date' : `${behind} (${formatDuration(lag.behindMs)})`
}

const liveLine = (view: ProgressView, lag: Lag): string =>
  joined([
    doing[lag.phase],
    lagText(lag),
    lag.changesPerSecond > 0 ? `${grouped(lag.changesPerSecond)} changes/s` : '',
    checkText(view),
    view.rejects > 0 ? counted(view.rejects, 'reject') : '',
  ])

/** The one line that says how far the whole is. */
export const summaryLine = (view: ProgressView): string => (view.lag ? liveLine(view, view.lag) : rowsLine(view))

const rowsLine = (view: ProgressView): string =>
  joined([
    view.phase === undefined ? 'Starting' : doing[view.phase],
    view.rowsTotal > 0 ? `${grouped(view.rowsDone)} of ${counted(view.rowsTotal, 'row')}` : '',
    speedText(view.rowsPerSecond),
    view.rowsDone < view.rowsTotal ? leftText(view.msLeft) : '',
    view.rejects > 0 ? counted(view.rejects, 'reject') : '',
  ])

const fit = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width))

export const barOf = (done: number, total: number, width: number): string => {
  const filled = total > 0 ? Math.min(width, Math.floor((done / total) * width)) : 0
  return '█'.repeat(filled) + '░'.repeat(width - filled)
}

const percent = (done: number, total: number): string =>
  `${String(total > 0 ? Math.min(100, Math.floor((done / total) * 100)) : 0).padStart(3)} %`

const tableLine = (table: TableProgress, columns: number, { cyan, dim }: Colors): string => {
  const name = fit(table.table, Math.min(28, Math.max(12, Math.floor(columns / 4))))
  const tail = joined([percent(table.rowsDone, table.rowsTotal), speedText(table.rowsPerSecond), leftText(table.msLeft)])
  const width = Math.max(8, Math.min(30, columns - name.length - tail.length - 8))
  return fit(`  ${name}  ${barOf(table.rowsDone, table.rowsTotal, width)}  ${tail}`, columns - 1)
    .trimEnd()
    .replace(/█+/, cyan)
    .replace(/░+/, dim)
}

/** The lines to draw on a terminal of that width. */
export const progressLines = (view: ProgressView, columns: number, colors: Colors): readonly string[] => [
  colors.bold(fit(summaryLine(view), columns - 1).trimEnd()),
  ...view.running.slice(0, 8).map((table) => tableLine(table, columns, colors)),
  ...view.building.slice(0, 8).map((name) => colors.dim(fit(`  building ${name}`, columns - 1).trimEnd())),
]
