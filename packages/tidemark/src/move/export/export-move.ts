/** Makes the file by the original's own statements and fills it from one snapshot of Postgres. */

import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type pg from 'pg'
import { TidemarkError } from '../../errors.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { isCaptureName } from '../../sqlite/capture/capture.js'
import { introspect } from '../../sqlite/introspect.js'
import { openSqlite } from '../../sqlite/open.js'
import type { SqliteDatabase } from '../../sqlite/sqlite.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import { quoteSqliteName } from '../../sqlite/tokenize.js'
import { createIdMap } from '../invert/id-map.js'
import { textSettings } from '../invert/target-texts.js'
import { withSession } from '../live/session.js'
import type { TablePlan } from '../move.js'
import { quoteIdentifier } from '../translate/identifiers.js'
import type { ExportDifference, ExportedTable, ExportOptions, ExportReport } from './export.js'
import { type Filled, fillTable } from './fill-table.js'
import { NewFile } from './new-file.js'
import { keptSourceSql, readSourceSql, type SourceObject, type SourceSql } from './source-sql.js'

const mostDifferences = 100

/** What was kept with the run, else what the original says, where it is still there. */
const sourceOf = async (client: pg.Client, { id, path }: ExportOptions['run']): Promise<SourceSql> => {
  const kept = await keptSourceSql(client, id)
  if (kept) return kept
  if (!existsSync(path)) throw new TidemarkError('TM_MOVE_EXPORT_SOURCE', { path, reason: 'its statements were not kept' })
  const file = openSqlite(path, { readonly: true, busyTimeoutMs: 10_000 })
  try {
    return file.db.transaction(() => readSourceSql(file.db))()
  } finally {
    file.close()
  }
}

const countOf = async (client: pg.Client, { target, targetSchema }: TablePlan): Promise<number> => {
  const name = `${quoteIdentifier(targetSchema)}.${quoteIdentifier(target)}`
  try {
    const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM ${name}`)
    return Number(rows[0]!.count)
  } catch (error) {
    if (sqlstateOf(error) === '42P01') throw new TidemarkError('TM_MOVE_TARGET_MISSING', { table: `${targetSchema}.${target}` })
    throw error
  }
}

/** The highest id that was ever given out for the rows of a table, here or there. */
const highWaterOf = async (client: pg.Client, plan: TablePlan, rowidAlias: string | null): Promise<bigint | null> => {
  const column = plan.columns.find(({ source }) => source === rowidAlias)
  const own = plan.highWater === null ? null : BigInt(plan.highWater)
  if (!column) return own
  const name = `${quoteIdentifier(plan.targetSchema)}.${quoteIdentifier(plan.target)}`
  const { rows } = await client.query<{ sequence: string | null }>('SELECT pg_get_serial_sequence($1, $2) AS sequence', [
    name,
    column.target,
  ])
  const sequence = rows[0]?.sequence
  if (sequence == null) return own
  const { rows: found } = await client.query<{ last: string }>(`SELECT last_value::text AS last FROM ${sequence} WHERE is_called`)
  const last = found[0] === undefined ? null : BigInt(found[0].last)
  return own === null || (last !== null && last > own) ? last : own
}

const noteHighWater = (db: SqliteDatabase, table: string, value: bigint | null): void => {
  if (value === null || value <= 0n) return
  const { changes } = db.prepare('UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?').run(value, table)
  if (changes === 0) db.prepare('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)').run(table, value)
}

class Exporter {
  readonly #client: pg.Client
  readonly #run: ExportOptions['run']
  readonly #source: SourceSql
  readonly #options: ExportOptions
  readonly #signal: AbortSignal
  readonly #left: { name: string; reason: string }[] = []
  readonly #differences: ExportDifference[] = []

  constructor(client: pg.Client, source: SourceSql, options: ExportOptions) {
    this.#client = client
    this.#run = options.run
    this.#source = source
    this.#options = options
    this.#signal = options.signal ?? new AbortController().signal
  }

  async run(): Promise<Omit<ExportReport, 'ok' | 'elapsedMs'>> {
    const path = resolve(this.#options.outPath)
    const file = new NewFile(path, this.#source)
    let finished = false
    try {
      await this.#client.query(`${textSettings}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`)
      this.#make(file, ['table', 'virtualTable'])
      const tables = await this.#fill(file)
      await this.#tellRejects()
      await this.#client.query('COMMIT')
      await setImmediate()
      this.#make(file, ['index'])
      this.#make(file, ['view'])
      this.#make(file, ['trigger'])
      file.finish(this.#source)
      finished = true
      return { path, bytes: statSync(path).size, tables, differences: this.#differences, left: this.#left }
    } catch (error) {
      await this.#client.query('ROLLBACK').catch(() => undefined)
      throw sqliteCodeOf(error) === null ? error : toSqliteError(error, path)
    } finally {
      if (!finished) file.discard()
    }
  }

  #make(file: NewFile, types: readonly SourceObject['type'][]): void {
    for (const { type, name, sql } of this.#source.objects.filter((object) => types.includes(object.type))) {
      this.#signal.throwIfAborted()
      const reason = file.attempt(sql)
      if (reason !== undefined) this.#left.push({ name, reason })
      else if (type === 'virtualTable')
        this.#left.push({ name, reason: 'it is there and empty: its rows are kept by a module and were not moved' })
    }
  }

  async #fill(file: NewFile): Promise<readonly ExportedTable[]> {
    const { onEvent = () => {} } = this.#options
    const { plan } = this.#run
    const counts = new Map<TablePlan, number>()
    for (const table of plan.tables) counts.set(table, await countOf(this.#client, table))
    onEvent({ type: 'phase', phase: 'copy', rowsTotal: [...counts.values()].reduce((sum, rows) => sum + rows, 0) })
    const made = introspect(file.db).tables.filter(({ name }) => !isCaptureName(name))
    const ids = createIdMap(this.#client)
    const tables: ExportedTable[] = []
    for (const [table, count] of counts) {
      const own = made.find(({ name }) => name === table.source)
      if (!own) {
        this.#left.push({ name: table.source, reason: `its ${count} row(s) have no table to go to` })
        continue
      }
      onEvent({ type: 'table', phase: 'copy', table: table.source, state: 'started', rows: count })
      tables.push({ table: table.source, ...(await this.#fillOne(file, table, own, count, ids)) })
      onEvent({ type: 'table', phase: 'copy', table: table.source, state: 'finished', rows: count })
    }
    for (const { name } of made)
      if (!plan.tables.some(({ source }) => source === name))
        this.#left.push({ name, reason: 'it is there and empty: the move left its rows in the original' })
    return tables
  }

  async #fillOne(
    { db }: NewFile,
    plan: TablePlan,
    file: ReturnType<typeof introspect>['tables'][number],
    rowsTotal: number,
    ids: ReturnType<typeof createIdMap>,
  ): Promise<Filled> {
    const { onEvent = () => {} } = this.#options
    let rowsDone = 0
    db.exec('BEGIN')
    const filled = await fillTable({
      client: this.#client,
      db,
      plan,
      file,
      ids,
      signal: this.#signal,
      onProgress: (rows) => {
        rowsDone += rows
        onEvent({ type: 'progress', phase: 'copy', table: plan.source, rowsDone, rowsTotal, bytesDone: 0 })
      },
      onDifference: (difference) => {
        if (this.#differences.length < mostDifferences) this.#differences.push(difference)
      },
    })
    if (file.autoincrement) noteHighWater(db, file.name, await highWaterOf(this.#client, plan, file.rowidAlias))
    db.exec('COMMIT')
    const stored = db
      .prepare<[], number>(`SELECT count(*) FROM ${quoteSqliteName(file.name)}`)
      .pluck()
      .get()
    if (stored !== filled.rows || filled.rows + filled.refused !== rowsTotal) {
      const reason = `${plan.source} holds ${stored} row(s), and Postgres ${rowsTotal}, of which ${filled.refused} were refused`
      throw new TidemarkError('TM_MOVE_EXPORT_BROKEN', { reason })
    }
    return filled
  }

  /** Rows that were left out of the copy are only in the original. */
  async #tellRejects(): Promise<void> {
    const { rows } = await this.#client.query<{ table_name: string; count: string }>(
      `SELECT table_name, count(DISTINCT row_key) AS count FROM tidemark.move_rejects
        WHERE run_id = $1 AND outcome = 'rowRejected' GROUP BY 1 ORDER BY 1`,
      [this.#run.id],
    )
    for (const { table_name: name, count } of rows)
      this.#left.push({ name, reason: `${count} row(s) never came to Postgres: they were left out of the copy` })
  }
}

/**
 * Writes what Postgres holds into a new file that the application can open as it did the original. Raises TM_MOVE_EXPORT_EXISTS,
 * TM_MOVE_EXPORT_SOURCE, TM_MOVE_EXPORT_BROKEN, TM_MOVE_TARGET_MISSING, TM_SQLITE_*; then nothing is left behind.
 */
export const exportMove = (options: ExportOptions): Promise<ExportReport> =>
  withSession({ ...options, path: options.run.path }, async (client) => {
    const started = performance.now()
    // A large table takes its time, and a reader in a snapshot is in nobody's way.
    await client.query("SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '10s'")
    const source = await sourceOf(client, options.run)
    const report = await new Exporter(client, source, options).run()
    const isWhole = report.tables.every(({ nearest, refused }) => nearest + refused === 0) && report.left.length === 0
    return { ok: isWhole, ...report, elapsedMs: performance.now() - started }
  })
