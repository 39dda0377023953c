/** Copies the rows of a plan into Postgres; killed at any point, it goes on where it stopped (MOVE-2). */
import type pg from 'pg'
import { isTidemarkError, TidemarkError } from '../../errors.js'
import { type ConnectOptions, connectPostgres } from '../../postgres/driver/connect.js'
import { parseConnection } from '../../postgres/driver/connection.js'
import { toPostgresError } from '../../postgres/postgres-error.js'
import { platformSource } from '../../schema/migration-files.js'
import { createMigrator } from '../../schema/migrator.js'
import { sessionsOf } from '../../schema/sessions.js'
import { fileIdOf } from '../../sqlite/file-facts.js'
import { openSqlite } from '../../sqlite/open.js'
import type { SqliteFile } from '../../sqlite/sqlite.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import type { CopyReport, MoveListener, MovePlan, TablePlan } from '../move.js'
import { finishRun, lockMove } from '../run.js'
import { makeObjects, type ObjectsReport } from './make-objects.js'
import { type OnExisting, type PreparedRun, prepareTarget } from './prepare-target.js'
import { isWaiting } from './set-aside.js'
import type { WorkerMessage } from './unit-server.js'
import { openUnits } from './units.js'
import { runUnits } from './worker-pool.js'

export interface CopyOptions {
  readonly target: ConnectOptions
  /** What to do where the target holds something already. Default `refuse`; an unfinished copy under the same choices is gone on with in any case. */
  readonly onExisting?: OnExisting
  /**
   * Leaves out what waits for the cutover, and refuses other writes to the moved tables (see {@link MovePlan.live}). Default: as planned;
   * the two must agree.
   */
  readonly live?: boolean
  /**
   * Called when the target is ready and its run is on record, before the first row is read: from here on changes of the file have to be
   * captured, where the move is to follow them.
   */
  readonly onPrepared?: (run: { readonly id: string; readonly resumed: boolean }) => Promise<void>
  /** Threads that copy. Default: two for files above 16 MiB, none below. */
  readonly workers?: number
  /** Bytes of one Postgres transaction, about. Default 24 MiB. */
  readonly transactionBytes?: number
  /** How long to wait for a locked SQLite file. Default 10,000. */
  readonly busyTimeoutMs?: number
  readonly onEvent?: MoveListener
  readonly signal?: AbortSignal
}

const smallFileBytes = 16 * 1024 * 1024
const largestBlockBytes = 256 * 1024

const sessionSettings = 'SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0'
/** What an index is sorted in; Postgres' own default makes it sort on disk. */
const indexMemory = "SET maintenance_work_mem = '128MB'"

/** Tables in groups: a group starts when the one before is done, since the target enforces that parents come first. */
const stages = (plan: MovePlan): readonly (readonly TablePlan[])[] => {
  const left = new Map(plan.tables.map((table) => [table.source, table]))
  const groups: TablePlan[][] = []
  while (left.size > 0) {
    const waits = (table: TablePlan) =>
      table.requiredParents.some(({ parentTable }) => parentTable !== table.source && left.has(parentTable))
    const ready = [...left.values()].filter((table) => !waits(table))
    const group = ready.length > 0 ? ready : [...left.values()]
    for (const table of group) left.delete(table.source)
    groups.push(group)
  }
  return groups
}

/** Makes the tables that a move keeps in its target, where they are not there yet. */
const ensurePlatform = async (client: pg.Client, target: ConnectOptions): Promise<void> => {
  const { rows } = await client.query<{ there: boolean }>("SELECT to_regclass('tidemark.move_runs') IS NOT NULL AS there")
  if (rows[0]?.there) return
  await createMigrator({ connect: sessionsOf(target), sources: [platformSource] }).up()
}

const checkFile = (plan: MovePlan): void => {
  const { device, inode } = fileIdOf(plan.path)
  if (`${device}:${inode}` === plan.fileId) return
  throw new TidemarkError('TM_SQLITE_CHANGED', { path: plan.path, reason: 'another file stands in its place' })
}

class Copy {
  readonly #plan: MovePlan
  readonly #options: Required<Omit<CopyOptions, 'workers' | 'live'>> & { readonly workers: number }
  readonly #client: pg.Client
  readonly #file: SqliteFile
  readonly #done = new Map<string, { rows: number }>()
  #bytes = 0

  constructor(plan: MovePlan, client: pg.Client, file: SqliteFile, options: CopyOptions) {
    this.#plan = plan
    this.#client = client
    this.#file = file
    this.#options = {
      target: options.target,
      onExisting: options.onExisting ?? 'refuse',
      workers: options.workers ?? (plan.totals.bytes > smallFileBytes ? 2 : 0),
      transactionBytes: options.transactionBytes ?? 24 * 1024 * 1024,
      busyTimeoutMs: options.busyTimeoutMs ?? 10_000,
      onPrepared: options.onPrepared ?? (async () => {}),
      onEvent: options.onEvent ?? (() => {}),
      signal: options.signal ?? new AbortController().signal,
    }
  }

  async run(): Promise<CopyReport> {
    const started = performance.now()
    const { target, onExisting, onPrepared, onEvent } = this.#options
    await ensurePlatform(this.#client, target)
    await lockMove(this.#client, this.#plan)
    onEvent({ type: 'phase', phase: 'prepare', rowsTotal: 0 })
    const run = await prepareTarget(this.#client, this.#file.db, this.#plan, onExisting)
    await onPrepared({ id: run.id, resumed: run.resumed })
    const before = await this.#counts(run)
    onEvent({ type: 'phase', phase: 'copy', rowsTotal: this.#plan.totals.rows })
    const copyStarted = performance.now()
    if (!run.finished) for (const group of stages(this.#plan)) await this.#copyGroup(run, group)
    const copyMs = performance.now() - copyStarted
    onEvent({ type: 'phase', phase: 'index', rowsTotal: 0 })
    const objects = await this.#makeObjects(run)
    const report = await this.#report(run, before, objects, { elapsedMs: performance.now() - started, copyMs })
    if (report.objects.failed.length === 0) await finishRun(this.#client, run.id, report)
    return report
  }

  /** A second connection, so that the indexes of two tables are built at a time; none for a small file. */
  async #makeObjects({ id: runId, finished }: PreparedRun): Promise<ObjectsReport> {
    const { target, workers, onEvent, signal } = this.#options
    const how = { runId, onEvent, signal, gathersStatistics: !finished }
    await this.#client.query(indexMemory)
    const plan = { ...this.#plan, objects: this.#plan.objects.filter((object) => !this.#plan.live || !isWaiting(object)) }
    if (workers < 2) return makeObjects([this.#client], plan, how)
    const second = await connectPostgres({ ...target, name: 'move' })
    second.on('error', () => undefined)
    try {
      await second.query(`${sessionSettings}; ${indexMemory}`)
      return await makeObjects([this.#client, second], plan, how)
    } finally {
      await second.end().catch(() => undefined)
    }
  }

  async #copyGroup(run: PreparedRun, group: readonly TablePlan[]): Promise<void> {
    const { target, workers, transactionBytes, busyTimeoutMs, signal } = this.#options
    const names = new Set(group.map(({ source }) => source))
    const units = (await openUnits(this.#client, this.#plan, run.id)).filter(({ table }) => names.has(table.source))
    const open = new Map<string, number>()
    for (const { table } of units) open.set(table.source, (open.get(table.source) ?? 0) + 1)
    const blockBytes = Math.min(largestBlockBytes, transactionBytes)
    await runUnits(units, {
      data: { path: this.#plan.path, target, transactionBytes, blockBytes, busyTimeoutMs },
      workers,
      signal,
      onMessage: (message) => this.#hear(message, open),
    })
  }

  #hear(message: WorkerMessage, open: Map<string, number>): void {
    const { onEvent } = this.#options
    if (message.type === 'reject') onEvent({ type: 'reject', reject: message.reject })
    if (message.type === 'reject' || message.type === 'failed') return
    const table = this.#plan.tables.find(({ source }) => source === message.table)!
    const sums = this.#sumsOf(table)
    if (message.type === 'progress') {
      sums.rows += message.rows
      this.#bytes += message.bytes
      const [rowsDone, rowsTotal] = [sums.rows, table.rows]
      onEvent({ type: 'progress', phase: 'copy', table: message.table, rowsDone, rowsTotal, bytesDone: this.#bytes })
      return
    }
    const left = open.get(message.table)! - 1
    open.set(message.table, left)
    if (left === 0) onEvent({ type: 'table', phase: 'copy', table: message.table, state: 'finished', rows: sums.rows })
  }

  /** What a table came to so far; the first time it is heard of, it has started. */
  #sumsOf({ source, rows }: TablePlan): { rows: number } {
    const seen = this.#done.get(source)
    if (seen) return seen
    const sums = { rows: 0 }
    this.#done.set(source, sums)
    this.#options.onEvent({ type: 'table', phase: 'copy', table: source, state: 'started', rows })
    return sums
  }

  async #counts(run: PreparedRun): Promise<ReadonlyMap<string, { copied: number; rejected: number }>> {
    const { rows } = await this.#client.query<{ table_name: string; copied: string; rejected: string }>(
      `SELECT table_name, sum(rows_copied) AS copied, sum(rows_rejected) AS rejected FROM tidemark.move_progress
        WHERE run_id = $1 GROUP BY 1`,
      [run.id],
    )
    return new Map(
      rows.map(({ table_name, copied, rejected }) => [table_name, { copied: Number(copied), rejected: Number(rejected) }]),
    )
  }

  async #report(
    run: PreparedRun,
    before: ReadonlyMap<string, { copied: number }>,
    objects: ObjectsReport,
    times: { elapsedMs: number; copyMs: number },
  ): Promise<CopyReport> {
    const after = await this.#counts(run)
    const { rows: rejects } = await this.#client.query<{ table_name: string; replaced: string; unallowed: string }>(
      `SELECT table_name, count(*) FILTER (WHERE outcome = 'valueReplaced') AS replaced, count(*) FILTER (WHERE NOT allowed) AS unallowed
         FROM tidemark.move_rejects WHERE run_id = $1 GROUP BY 1`,
      [run.id],
    )
    const tables = this.#plan.tables.map(({ source, targetSchema, target, rows }) => ({
      table: source,
      target: `${targetSchema}.${target}`,
      rows,
      copied: (after.get(source)?.copied ?? 0) - (before.get(source)?.copied ?? 0),
      rejected: after.get(source)?.rejected ?? 0,
      replaced: Number(rejects.find(({ table_name }) => table_name === source)?.replaced ?? 0),
    }))
    const unallowedRejects = rejects.reduce((sum, { unallowed }) => sum + Number(unallowed), 0)
    const copied = tables.reduce((sum, table) => sum + table.copied, 0)
    return {
      ok: unallowedRejects === 0 && objects.failed.length === 0,
      runId: run.id,
      resumed: run.resumed,
      tables,
      objects,
      unallowedRejects,
      ...times,
      rowsPerSecond: times.copyMs > 0 ? Math.round((copied / times.copyMs) * 1000) : 0,
    }
  }
}

/**
 * Copies the rows of a plan, then makes keys, indexes, constraints and views. Rows that cannot be carried are set aside in
 * `tidemark.move_rejects` and counted; `report.ok` is false where no choice allows them, or where an object could not be made.
 * Raises TM_MOVE_TARGET_NOT_EMPTY, _RUNNING, _PLAN_CHANGED, TM_SQLITE_* and TM_POSTGRES_*.
 */
export const copyMove = async (plan: MovePlan, options: CopyOptions): Promise<CopyReport> => {
  checkFile(plan)
  if (options.live !== undefined && options.live !== (plan.live ?? false)) {
    throw new TidemarkError('TM_MOVE_PLAN_CHANGED', { path: plan.path, reason: 'it was not planned as the same kind of move' })
  }
  const file = openSqlite(plan.path, { readonly: true, busyTimeoutMs: options.busyTimeoutMs ?? 10_000 })
  const client = await connectPostgres({ ...options.target, name: 'move' }).catch((error: unknown) => {
    file.close()
    throw error
  })
  client.on('error', () => undefined)
  try {
    await client.query(sessionSettings)
    return await new Copy(plan, client, file, options).run()
  } catch (error) {
    if (isTidemarkError(error) || options.signal?.aborted) throw error
    if (sqliteCodeOf(error) !== null) throw toSqliteError(error, plan.path)
    throw toPostgresError(error, parseConnection(options.target.url, options.target))
  } finally {
    file.close()
    await client.end().catch(() => undefined)
  }
}
