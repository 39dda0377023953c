/** Proves a move: reads both sides with its own eyes and accounts for every row of the file (MOVE-3). */
import type pg from 'pg'
import { type ConnectOptions, connectPostgres } from '../../postgres/driver/connect.js'
import { openSqlite } from '../../sqlite/open.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import { withoutRowColumn } from '../log-key.js'
import type { MoveListener, MovePlan, TableVerification, VerifyReport } from '../move.js'
import { findRun, type Run } from '../run.js'
import { verifyTable } from './verify-table.js'

export interface VerifyOptions {
  readonly target: ConnectOptions
  /** Source tables to look at; all where none are named. */
  readonly tables?: readonly string[]
  /** How many differing rows of a table are shown (default 20); all are counted. */
  readonly maxDifferences?: number
  readonly onEvent?: MoveListener
  readonly signal?: AbortSignal
}

const keysBy = async (
  client: pg.Client,
  runId: string,
  table: string,
): Promise<{ rejected: Set<string>; replaced: Set<string> }> => {
  const { rows } = await client.query<{ row_key: string; outcome: string }>(
    'SELECT DISTINCT row_key, outcome FROM tidemark.move_rejects WHERE run_id = $1 AND table_name = $2',
    [runId, table],
  )
  const keys = (outcome: string) => new Set(rows.filter((row) => row.outcome === outcome).map(({ row_key }) => row_key))
  return { rejected: keys('rowRejected'), replaced: keys('valueReplaced') }
}

const isProven = ({ rows, equal, mapped, rejected, missing, extra, differing }: TableVerification): boolean =>
  missing === 0 && extra === 0 && differing === 0 && equal + mapped + rejected === rows

/** True from the cutover on, until following begins again: the columns that a live move follows by are gone. */
const isSwitched = ({ state }: Run): boolean => /^(?:mirroring|rollingBack|rolledBack|finished)$/.test(state)

/** Verifies the tables of a plan against what its newest run put into the target. Raises TM_MOVE_NO_PLAN where there is no run. */
export const verifyMove = async (plan: MovePlan, options: VerifyOptions): Promise<VerifyReport> => {
  const { target, maxDifferences = 20, onEvent = () => {}, signal = new AbortController().signal } = options
  const started = performance.now()
  const client = await connectPostgres(target)
  const file = openSqlite(plan.path, { readonly: true, busyTimeoutMs: 10_000 })
  try {
    const run = await findRun(client, plan)
    await client.query(
      "SET statement_timeout = 0; SET extra_float_digits = 1; SET timezone = 'UTC'; SET datestyle = 'ISO'; SET bytea_output = 'hex'",
    )
    // The plan under which the rows were copied, not one made anew: the file may have changed since.
    const copied = isSwitched(run) ? run.plan.tables.map(withoutRowColumn) : run.plan.tables
    const wanted = copied.filter(({ source }) => options.tables?.includes(source) ?? true)
    onEvent({ type: 'phase', phase: 'verify', rowsTotal: wanted.reduce((sum, { rows }) => sum + rows, 0) })
    const tables: TableVerification[] = []
    for (const table of wanted) {
      onEvent({ type: 'table', phase: 'verify', table: table.source, state: 'started', rows: table.rows })
      const onProgress = (rowsDone: number) =>
        onEvent({ type: 'progress', phase: 'verify', table: table.source, rowsDone, rowsTotal: table.rows, bytesDone: 0 })
      const keys = await keysBy(client, run.id, table.source)
      const verification = await verifyTable({ database: file.db, client, table, ...keys, maxDifferences, signal, onProgress })
      tables.push(verification)
      onEvent({ type: 'table', phase: 'verify', table: table.source, state: 'finished', rows: verification.rows })
    }
    const report = { ok: tables.every(isProven), tables, elapsedMs: performance.now() - started }
    return report
  } catch (error) {
    throw sqliteCodeOf(error) === null ? error : toSqliteError(error, plan.path)
  } finally {
    file.close()
    await client.end()
  }
}
