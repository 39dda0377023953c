import type { MoveEvent, MovePhase } from '../../move/move.js'
import { createRate, type Rate } from './rate.js'

export interface TableProgress {
  readonly table: string
  readonly rowsDone: number
  readonly rowsTotal: number
  readonly rowsPerSecond: number
  readonly msLeft: number | undefined
}

/** How far a move is, as of the last event. */
export interface ProgressView {
  readonly phase: MovePhase | undefined
  readonly rowsDone: number
  readonly rowsTotal: number
  readonly rowsPerSecond: number
  /** Undefined until there is a speed to reckon with. */
  readonly msLeft: number | undefined
  readonly tablesDone: number
  readonly rejects: number
  /** What is under way: tables, then indexes and keys. */
  readonly running: readonly TableProgress[]
  readonly building: readonly string[]
  /** While following or mirroring. */
  readonly lag: Extract<MoveEvent, { type: 'lag' }> | undefined
  readonly check: Extract<MoveEvent, { type: 'check' }> | undefined
}

interface RunningTable {
  rowsDone: number
  rowsTotal: number
  readonly rate: Rate
}

const leftOf = (done: number, total: number, perSecond: number): number | undefined =>
  perSecond > 0 && total >= done ? ((total - done) / perSecond) * 1000 : undefined

/** Adds up the events of a move. Knows nothing of where they are shown. */
export const createMoveProgress = (monotonicMs: () => number) => {
  let phase: MovePhase | undefined
  let rowsTotal = 0
  let finishedRows = 0
  let tablesDone = 0
  let rejects = 0
  let rate = createRate()
  let lag: ProgressView['lag']
  let check: ProgressView['check']
  const running = new Map<string, RunningTable>()
  const building = new Set<string>()

  const rowsDone = (): number => [...running.values()].reduce((sum, table) => sum + table.rowsDone, finishedRows)
  const running_ = (table: string): RunningTable => {
    const known = running.get(table) ?? { rowsDone: 0, rowsTotal: 0, rate: createRate() }
    running.set(table, known)
    return known
  }
  const startPhase = (next: MovePhase, total: number): void => {
    phase = next
    lag = undefined
    rowsTotal = total
    finishedRows = tablesDone = 0
    rate = createRate()
    running.clear()
    building.clear()
  }
  const finishTable = (table: string, rows: number): void => {
    running.delete(table)
    finishedRows += rows
    tablesDone += 1
    rate.add(monotonicMs(), rowsDone())
  }
  const advance = (event: Extract<MoveEvent, { type: 'progress' }>): void => {
    const table = running_(event.table)
    table.rowsDone = event.rowsDone
    table.rowsTotal = event.rowsTotal
    table.rate.add(monotonicMs(), event.rowsDone)
    rate.add(monotonicMs(), rowsDone())
  }

  return {
    take: (event: MoveEvent): void => {
      if (event.type === 'phase') startPhase(event.phase, event.rowsTotal)
      else if (event.type === 'table' && event.state === 'started') running_(event.table).rowsTotal = event.rows
      else if (event.type === 'table') finishTable(event.table, event.rows)
      else if (event.type === 'progress') advance(event)
      else if (event.type === 'object' && event.state === 'started') building.add(event.name)
      else if (event.type === 'object') building.delete(event.name)
      else if (event.type === 'reject') rejects += 1
      else if (event.type === 'lag') {
        phase = event.phase
        lag = event
      } else if (event.type === 'check') check = event
    },
    view: (): ProgressView => {
      const perSecond = rate.perSecond()
      const done = rowsDone()
      return {
        phase,
        rowsDone: done,
        rowsTotal,
        rowsPerSecond: perSecond,
        msLeft: leftOf(done, rowsTotal, perSecond),
        tablesDone,
        rejects,
        running: [...running].map(([table, { rate: own, ...rows }]) => ({
          table,
          ...rows,
          rowsPerSecond: own.perSecond(),
          msLeft: leftOf(rows.rowsDone, rows.rowsTotal, own.perSecond()),
        })),
        building: [...building],
        lag,
        check,
      }
    },
  }
}
