/** Ranges: every table once after its copy, and tables whose rows cannot be told apart as a whole. */
import type { CheckParts } from './check-parts.js'
import type { CheckSession } from './check-session.js'
import type { CheckPoint } from './checks.js'
import { countRows, type Doubt } from './doubts.js'
import type { TableCheck } from './table-check.js'
import type { WalkCursor } from './walk-table.js'

/** With so many rows of a table on record its first comparison waits for someone to look at them. */
const mostDifferences = 1000
/** A table that was compared as a whole while it was being written is tried again after so long; one that rests, sooner. */
const [retryMs, restingRetryMs] = [5000, 1000]

interface RangeDoubt {
  readonly doubt: Doubt
  readonly table: TableCheck
  readonly cursor: WalkCursor | null
}

interface Retry {
  readonly tries: number
  readonly notBeforeMs: number
}

export class RangeChecks {
  readonly #parts: CheckParts
  readonly #retries = new Map<TableCheck, Retry>()
  #waiting: RangeDoubt | undefined

  constructor(parts: CheckParts) {
    this.#parts = parts
  }

  /** Rows that wait for their second look. */
  get doubtful(): number {
    return this.#waiting ? countRows(this.#waiting.doubt.rows) : 0
  }

  /** One step of one table; false where nothing can be done now. */
  async check(session: CheckSession, point: CheckPoint): Promise<boolean> {
    const { doubts, work } = this.#parts
    if (this.#waiting) return this.#judge(session, this.#waiting, point)
    const table = this.#nextTable()
    if (!table) return false
    if (!table.link || table.dirty) {
      await this.compareWhole(session, table, point)
      return true
    }
    const walk = table.walk(session)
    const step = await walk.step(table.cursor ?? walk.start)
    table.rowsChecked += step.rows
    work.rows += step.rows
    const found = step.suspects.length > 0 ? await table.comparer(session).compare(step.suspects) : []
    const doubt = doubts.raise(session, new Map([[table, found]]), point)
    if (doubt) this.#waiting = { doubt, table, cursor: step.cursor }
    else this.#moveOn(table, step.cursor)
    return true
  }

  /**
   * By contents. Alike is alike, at whatever moments the two sides were read. What differs counts only where the table rested meanwhile, and
   * at a second try; of the mirror, which the log does not tell to rest, only when it is final.
   */
  async compareWhole(session: CheckSession, table: TableCheck, point: CheckPoint, isFinal = false): Promise<void> {
    const { direction, findings, clock, signal, work } = this.#parts
    const { rows, isAlike, differences } = await table.compareWhole(session, signal)
    work.rows += rows
    const isResting = direction === 'follow' && session.log.inFlight(table.name, point.appliedSeq)?.length === 0
    const tries = isResting ? (this.#retries.get(table)?.tries ?? 0) + 1 : 0
    this.#retries.delete(table)
    if (!isAlike && !isFinal && tries < 2) {
      this.#retries.set(table, { tries, notBeforeMs: clock.monotonicMs() + (isResting ? restingRetryMs : retryMs) })
      return
    }
    findings.clear(table.name)
    const shown = differences.map(({ key, state, columns }) => ({ printed: key, state, columns, key: null, texts: undefined }))
    findings.add(table.name, shown, new Date(clock.now()))
    if (!isAlike) this.#retries.set(table, { tries, notBeforeMs: clock.monotonicMs() + retryMs })
    table.dirty = !isAlike
    table.rowsChecked = rows
    this.#moveOn(table, null)
  }

  /** The table begins anew. */
  forget(table: TableCheck): void {
    this.#retries.delete(table)
    if (this.#waiting?.table === table) this.#waiting = undefined
  }

  async #judge(session: CheckSession, { doubt, table, cursor }: RangeDoubt, point: CheckPoint): Promise<boolean> {
    const { doubts, findings, clock } = this.#parts
    await doubts.note(session, [doubt], point)
    const found = await doubts.judge(session, doubt, point)
    if (!found) return false
    findings.addAll(found, new Date(clock.now()))
    this.#waiting = undefined
    this.#moveOn(table, cursor)
    return true
  }

  #nextTable(): TableCheck | undefined {
    const { tables, findings, clock } = this.#parts
    const now = clock.monotonicMs()
    const isReady = (table: TableCheck): boolean => {
      if (table.dirty || !table.link) return (table.dirty || !table.done) && now >= (this.#retries.get(table)?.notBeforeMs ?? 0)
      return !table.done && findings.countOf(table.name) < mostDifferences
    }
    for (const table of tables.values()) if (isReady(table)) return table
    return undefined
  }

  #moveOn(table: TableCheck, cursor: WalkCursor | null): void {
    table.cursor = cursor
    table.done = cursor === null
    this.#parts.changed.add(table)
  }
}
