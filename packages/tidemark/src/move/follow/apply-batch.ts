/** Makes the target's rows those of the file, for a stretch of the log, in one transaction. */
import type pg from 'pg'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { copyByHalves, copyRows, type RefusedRow } from '../copy/copy-rows.js'
import { insertIds, insertRejects } from '../copy/progress.js'
import type { Reject, TablePlan } from '../move.js'
import type { Key } from '../row-keys.js'
import { qualifiedName, quoteIdentifier } from '../translate/translate.js'
import type { TableChanges } from './table-reader.js'

export interface Applied {
  readonly rejects: readonly Reject[]
  /** Rows that had been rejected and are carried now, or are gone. */
  readonly acceptedAgain: number
  /** Rows whose key another row of the target still has, since what became of that one stands further on in the log. */
  readonly postponed: readonly { readonly table: TablePlan; readonly keys: readonly Key[] }[]
}

/** SQLSTATEs of a key that is taken: by a unique index, or by an exclusion constraint. */
export const isTakenKey = (sqlstate: string | undefined): boolean => sqlstate === '23505' || sqlstate === '23P01'

/** A printed key as the table of rejects holds it. */
const asStored = (key: string): string => key.replaceAll('\0', '\u2400')

const nameOf = ({ targetSchema, target }: TablePlan): string => qualifiedName({ schema: targetSchema, name: target })

/** Temporary tables that hold the keys of a batch, one for each table, made when first needed; gone with their session. */
export class KeyStages {
  readonly #client: pg.Client
  readonly #names = new Map<string, string>()

  constructor(client: pg.Client) {
    this.#client = client
  }

  /** Outside a transaction, so that they outlive one that fails. */
  async prepare(changes: readonly TableChanges[]): Promise<void> {
    for (const { table, keyColumns } of changes) {
      if (this.#names.has(table.source)) continue
      const name = `pg_temp.tidemark_keys_${this.#names.size + 1}`
      const columns = keyColumns.map(({ targetType }, i) => `k${i} ${targetType}`).join(', ')
      await this.#client.query(`CREATE TEMPORARY TABLE ${name.slice('pg_temp.'.length)} (${columns}) ON COMMIT DELETE ROWS`)
      this.#names.set(table.source, name)
    }
  }

  of(table: TablePlan): string {
    return this.#names.get(table.source)!
  }
}

/**
 * For the rest of a transaction. Nothing is known of the keys on their stage, and tables that grow have no statistics yet: left to itself,
 * Postgres would read a whole table to find a few hundred rows that an index leads to.
 */
const byIndex = 'SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off'

/** Within a transaction, one table after the other. */
export class BatchApplier {
  readonly #client: pg.Client
  readonly #runId: string
  readonly #stages: KeyStages
  /** True where the batch reached the head of the log, so that a key that is taken is taken for good. */
  readonly #isAtHead: boolean
  /** Rows are sent so that those Postgres refuses are found. */
  readonly #isCareful: boolean
  #rejects: Reject[] = []
  #acceptedAgain = 0
  #postponed: { table: TablePlan; keys: Key[] }[] = []

  constructor(client: pg.Client, stages: KeyStages, how: { runId: string; isAtHead: boolean; isCareful: boolean }) {
    this.#client = client
    this.#stages = stages
    this.#runId = how.runId
    this.#isAtHead = how.isAtHead
    this.#isCareful = how.isCareful
  }

  async begin(): Promise<void> {
    await this.#client.query(byIndex)
  }

  async apply(changes: TableChanges, hasRejects: boolean): Promise<void> {
    await this.#remove(changes)
    if (changes.rows.length > 0) await this.#write(changes)
    const { table, leavings } = changes
    const before = hasRejects ? await this.#forgetRejects(changes) : []
    const rejected = new Set(leavings.rejects.flatMap(({ outcome, key }) => (outcome === 'rowRejected' ? [asStored(key)] : [])))
    this.#acceptedAgain += before.filter((key) => !rejected.has(key)).length
    await insertRejects(this.#client, { runId: this.#runId, table }, leavings.rejects)
    await insertIds(this.#client, leavings.ids)
    this.#rejects.push(...leavings.rejects)
  }

  get result(): Applied {
    return { rejects: this.#rejects, acceptedAgain: this.#acceptedAgain, postponed: this.#postponed }
  }

  async #remove({ table, keyColumns, keyRows }: TableChanges): Promise<void> {
    if (keyRows.length === 0) return
    const stage = this.#stages.of(table)
    const copySql = `COPY ${stage} FROM STDIN (FORMAT binary)`
    // A key that Postgres cannot take is no row's key.
    if (this.#isCareful) await copyByHalves(this.#client, copySql, keyRows, [])
    else await copyRows(this.#client, copySql, keyRows)
    const matches = keyColumns.map(({ target }, i) => `t.${quoteIdentifier(target)} = k.k${i}`).join(' AND ')
    await this.#client.query(`DELETE FROM ${nameOf(table)} AS t USING ${stage} AS k WHERE ${matches}`)
  }

  async #write(changes: TableChanges): Promise<void> {
    const { copySql, rows } = changes
    if (!this.#isCareful) return copyRows(this.#client, copySql, rows)
    const refused: RefusedRow[] = []
    await copyByHalves(this.#client, copySql, rows, refused)
    const isLater = ({ error }: RefusedRow) => !this.#isAtHead && isTakenKey(sqlstateOf(error))
    const later = refused.filter(isLater)
    if (later.length > 0) this.#postponed.push({ table: changes.table, keys: later.map((row) => changes.keyOf(row)) })
    for (const row of refused) if (!isLater(row)) changes.refuse(row, row.error)
  }

  /** The rows that are no longer on record as rejected. */
  async #forgetRejects({ table, printed }: TableChanges): Promise<readonly string[]> {
    const { rows } = await this.#client.query<{ row_key: string }>(
      `WITH gone AS (
         DELETE FROM tidemark.move_rejects AS j USING unnest($3::text[]) AS k(key)
          WHERE j.run_id = $1 AND j.table_name = $2 AND hashtextextended(j.row_key, 0) = hashtextextended(k.key, 0) AND j.row_key = k.key
         RETURNING j.row_key, j.outcome)
       SELECT DISTINCT row_key FROM gone WHERE outcome = 'rowRejected'`,
      [this.#runId, table.source, printed.map(asStored)],
    )
    return rows.map(({ row_key }) => row_key)
  }
}
