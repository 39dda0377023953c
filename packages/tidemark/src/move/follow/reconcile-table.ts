/** Compares a table as a whole, and writes the keys of what differs into the log, so that it is brought over the ordinary way. */
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import type { CaptureDatabase, CaptureHold, CaptureTable } from '../../sqlite/capture/capture.js'
import { takeControl } from '../../sqlite/capture/control.js'
import { appendLog } from '../../sqlite/capture/log.js'
import { differingKeys, removeByKeys } from '../checks/differing-keys.js'
import { linkOf, walkOf } from '../checks/link.js'
import type { HeldRun } from '../live/live-run.js'
import type { TablePlan } from '../move.js'
import type { Key } from '../row-keys.js'
import { quoteSqlite, RowSource } from '../row-source.js'
import { inFencedTransaction } from './fenced-transaction.js'

export interface ReconcileOptions {
  /** Reads on its own, beside the log. */
  readonly database: Database
  readonly capture: CaptureDatabase
  readonly hold: CaptureHold
  readonly client: pg.Client
  readonly held: HeldRun
  readonly table: TablePlan
  readonly captureTable: CaptureTable
  readonly signal: AbortSignal
}

export interface Reconciled {
  readonly logged: number
  readonly removed: number
  /** False where so much differs that copying the table anew is the shorter way. */
  readonly isDone: boolean
}

/** Entries of one write to the application's file. */
const entriesPerWrite = 500
/** From here on, and from a fifth of the rows on, the table is better copied anew. */
const manyEntries = 20_000

/** Writes keys into the log, a few at a time. */
export const logKeys = async (
  capture: CaptureDatabase,
  hold: CaptureHold,
  table: CaptureTable,
  keys: readonly Key[],
  signal: AbortSignal,
): Promise<void> => {
  for (let at = 0; at < keys.length; at += entriesPerWrite) {
    await capture.write(
      (db) => {
        takeControl(db, hold)
        appendLog(db, table, keys.slice(at, at + entriesPerWrite))
      },
      { signal },
    )
  }
}

/**
 * Rows that are on record as rejected are looked at again by the ordinary way; of those that are no longer in the file the record is
 * forgotten. Nothing tells them apart from rows that were never rejected but their printed keys.
 */
const logRejected = async (options: ReconcileOptions): Promise<number> => {
  const { database, capture, hold, client, held, table, captureTable, signal } = options
  const { rows } = await client.query<{ row_key: string }>(
    'SELECT DISTINCT row_key FROM tidemark.move_rejects WHERE run_id = $1 AND table_name = $2',
    [held.run.id, table.source],
  )
  if (rows.length === 0) return 0
  const left = new Set(rows.map(({ row_key }) => row_key))
  const link = linkOf(table)!
  const columns = walkOf(table, link)
  const places = link.columns.map((column) => columns.indexOf(column.source))
  const walk = { kind: 'columns', columns } as const
  const source = new RowSource(database, { source: table.source, rowKey: walk }, table.reportKey.map(quoteSqlite), [])
  const keys: Key[] = []
  for (const row of source.rows({ after: null, until: null })) {
    signal.throwIfAborted()
    const printed = source.describe(row, table.reportKey, 0).replaceAll('\0', '\u2400')
    if (!left.delete(printed)) continue
    const key = source.keyOf(row)
    keys.push(places.map((place) => key[place] ?? null))
  }
  await logKeys(capture, hold, captureTable, keys, signal)
  if (left.size > 0) await forgetRejects(options, [...left])
  return keys.length
}

const forgetRejects = async ({ client, held, table }: ReconcileOptions, printed: readonly string[]): Promise<void> => {
  await inFencedTransaction(client, held, {}, () =>
    client.query('DELETE FROM tidemark.move_rejects WHERE run_id = $1 AND table_name = $2 AND row_key = ANY ($3)', [
      held.run.id,
      table.source,
      printed,
    ]),
  )
}

/**
 * To be called between two ticks: while it runs, nothing else changes the target. A row of Postgres that the file did not hold when it was
 * looked for may be removed at once: should the file get it later, that stands in the log.
 */
export const reconcileTable = async (options: ReconcileOptions): Promise<Reconciled> => {
  const { database, capture, hold, client, held, table, captureTable, signal } = options
  let [logged, removed] = [0, 0]
  const isTooMuch = () => logged > manyEntries && logged > table.rows / 5
  for await (const differing of differingKeys({ database, client, runId: held.run.id, table, signal })) {
    const keys = differing.flatMap(({ key }) => (key ? [key] : []))
    await logKeys(capture, hold, captureTable, keys, signal)
    logged += keys.length
    const unnamed = differing.filter(({ key }) => key === null)
    if (unnamed.length > 0)
      removed += (await inFencedTransaction(client, held, {}, () => removeByKeys(client, table, unnamed))).result
    if (isTooMuch()) return { logged, removed, isDone: false }
  }
  logged += await logRejected(options)
  return { logged, removed, isDone: true }
}
