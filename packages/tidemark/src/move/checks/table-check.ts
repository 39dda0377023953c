/** One table's part in the checks: how far its first comparison has come, and how its rows are looked at. */
import type { RowDifference, TablePlan } from '../move.js'
import { canonicalAtFile } from '../verify/file-resolution-sql.js'
import { verifyTable } from '../verify/verify-table.js'
import type { TableProgress } from './check-record.js'
import type { CheckSession } from './check-session.js'
import type { CheckDirection } from './checks.js'
import { type Link, linkOf } from './link.js'
import { Rejects } from './rejects.js'
import { TableComparer, type TableComparerOptions } from './table-comparer.js'
import { TableWalk, type WalkCursor } from './walk-table.js'

const fresh: TableProgress = { cursor: null, rowsChecked: 0, done: false, dirty: false, pass: 1 }

/** Differences of a table whose rows cannot be told apart that are shown. */
const mostShown = 20

export class TableCheck {
  readonly plan: TablePlan
  readonly link: Link | null
  readonly #runId: string
  readonly #reading: Pick<TableComparerOptions, 'canonical'>
  #session: CheckSession | undefined
  #comparer: TableComparer | undefined
  #walk: TableWalk | undefined
  cursor: WalkCursor | null
  rowsChecked: number
  done: boolean
  dirty: boolean
  pass: number

  constructor(plan: TablePlan, runId: string, direction: CheckDirection, progress: TableProgress = fresh) {
    // Where Postgres is the truth, it may hold values finer than the file has a form for.
    this.#reading = direction === 'mirror' ? { canonical: canonicalAtFile(plan) } : {}
    this.plan = plan
    this.link = linkOf(plan)
    this.#runId = runId
    this.cursor = progress.cursor
    this.rowsChecked = progress.rowsChecked
    this.done = progress.done
    this.dirty = progress.dirty
    this.pass = progress.pass
  }

  get name(): string {
    return this.plan.source
  }

  get progress(): TableProgress {
    const { cursor, rowsChecked, done, dirty, pass } = this
    return { cursor, rowsChecked, done, dirty, pass }
  }

  restart(): void {
    this.cursor = null
    this.rowsChecked = 0
    this.done = false
    this.dirty = false
    this.pass += 1
  }

  /** Called for tables with a link only. */
  comparer(session: CheckSession): TableComparer {
    if (this.#session !== session || !this.#comparer) {
      this.#session = session
      this.#comparer = new TableComparer({ ...session, ...this.#reading, runId: this.#runId, table: this.plan }, this.link!)
      this.#walk = undefined
    }
    return this.#comparer
  }

  /** Called for tables with a link only. */
  walk(session: CheckSession): TableWalk {
    const comparer = this.comparer(session)
    this.#walk ??= new TableWalk(comparer)
    return this.#walk
  }

  /** The whole table by its contents, whatever its keys. */
  async compareWhole(
    session: CheckSession,
    signal: AbortSignal,
  ): Promise<{ readonly rows: number; readonly isAlike: boolean; readonly differences: readonly RowDifference[] }> {
    const rejects = new Rejects(session.client, this.#runId, this.name)
    await rejects.refresh()
    const { database, client } = session
    const found = await verifyTable({
      database,
      client,
      table: this.plan,
      ...this.#reading,
      rejected: rejects.keys,
      replaced: new Set(),
      maxDifferences: mostShown,
      signal,
      onProgress: () => {},
    })
    const isAlike = found.missing + found.extra + found.differing === 0
    return { rows: found.rows, isAlike, differences: found.differences }
  }
}
