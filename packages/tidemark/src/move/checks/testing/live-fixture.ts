/** A file that is followed, with everything but the follower itself: the log is applied when the test says so. */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'
import pg from 'pg'
import { openCaptureDatabase } from '../../../sqlite/capture/capture-database.js'
import { installCapture } from '../../../sqlite/capture/install.js'
import { logHead, readLog } from '../../../sqlite/capture/log.js'
import { createRowCondition } from '../../../sqlite/capture/row-condition.js'
import { until } from '../../../time/until.js'
import { copyMove } from '../../copy/copy.js'
import type { HeldRun } from '../../live/live-run.js'
import { requireLiveRun } from '../../live/record.js'
import { captureTablesOf, keyColumnsOf } from '../../log-key.js'
import type { MovePlan, TablePlan } from '../../move.js'
import { planMove } from '../../plan/plan.js'
import { quoteSqlite } from '../../row-source.js'
import { qualifiedName, quoteIdentifier } from '../../translate/translate.js'
import type { Checks, ChecksOptions } from '../checks.js'
import { openChecks } from '../open-checks.js'

export interface LiveFixtureOptions {
  readonly folder: string
  readonly url: string
  readonly schema: string
  readonly make: (writer: Database) => void
  readonly choices?: string
}

/** As a follower would write it, for values that need no conversion. */
const bound = (value: unknown): unknown => (typeof value === 'bigint' || typeof value === 'number' ? String(value) : value)

export class LiveFixture {
  readonly path: string
  readonly writer: Database
  readonly client: pg.Client
  readonly plan: MovePlan
  readonly held: HeldRun
  readonly #options: LiveFixtureOptions
  readonly #checks: Checks[] = []

  private constructor(options: LiveFixtureOptions, path: string, writer: Database, client: pg.Client, held: HeldRun) {
    this.#options = options
    this.path = path
    this.writer = writer
    this.client = client
    this.plan = held.run.plan
    this.held = held
  }

  static async open(options: LiveFixtureOptions): Promise<LiveFixture> {
    const { folder, url, schema, make, choices } = options
    const path = join(folder, `${schema}.db`)
    const writer = new BetterSqlite(path)
    writer.pragma('journal_mode = WAL')
    make(writer)
    const plan = await planMove({ path, schema, live: true, ...(choices && { choicesPath: choices }) })
    const { runId } = await copyMove(plan, { target: { url } })
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    const captureId = randomUUID()
    const file = await openCaptureDatabase(path, { busyTimeoutMs: 2000 })
    await installCapture(file, { runId, captureId, epoch: 1n, tables: captureTablesOf(plan) })
    file.close()
    await client.query("UPDATE tidemark.move_runs SET state = 'following', epoch = 1, capture_id = $2 WHERE id = $1", [
      runId,
      captureId,
    ])
    const run = await requireLiveRun(client, { runId })
    return new LiveFixture(options, path, writer, client, { run, epoch: 1n })
  }

  /** Full speed unless told otherwise. */
  async checks(options: Partial<ChecksOptions> = {}): Promise<Checks> {
    const { held } = this
    const opened = await openChecks({ held, target: { url: this.#options.url }, direction: 'follow', share: 1, ...options })
    this.#checks.push(opened)
    return opened
  }

  get head(): bigint {
    return logHead(this.writer)
  }

  async applied(): Promise<bigint> {
    const { rows } = await this.client.query<{ applied_seq: string }>(
      'SELECT applied_seq FROM tidemark.move_runs WHERE id = $1',
      [this.held.run.id],
    )
    return BigInt(rows[0]!.applied_seq)
  }

  /** Brings the log over as far as `limit` entries go; answers with how far that is. */
  async apply(limit = 1_000_000): Promise<bigint> {
    const after = await this.applied()
    const { entries, rows } = this.writer.transaction(() => {
      const read = readLog(this.writer, { after, limit })
      return {
        entries: read,
        rows: read.map((entry) => this.#read(this.plan.tables[entry.table - 1]!, entry.key)),
      }
    })()
    if (entries.length === 0) return after
    await this.client.query("BEGIN; SET LOCAL tidemark.origin = 'move'")
    for (const [i, { table, key }] of entries.entries()) await this.#write(this.plan.tables[table - 1]!, key, rows[i]!)
    const reached = entries.at(-1)!.seq
    await this.client.query('UPDATE tidemark.move_runs SET applied_seq = $2 WHERE id = $1', [this.held.run.id, reached])
    await this.client.query('COMMIT')
    return reached
  }

  #read(table: TablePlan, key: readonly unknown[] | null): readonly unknown[][] {
    const columns = table.columns.map(({ source }) => quoteSqlite(source)).join(', ')
    const names = keyColumnsOf(table).map(({ source }) => source)
    const where = key
      ? createRowCondition(this.writer, { name: table.source, key: { kind: 'columns', columns: names } })(key as never)
      : { sql: 'true', values: [] }
    return this.writer
      .prepare(`SELECT ${columns} FROM ${quoteSqlite(table.source)} WHERE ${where.sql}`)
      .raw(true)
      .safeIntegers(true)
      .all(...where.values) as unknown[][]
  }

  async #write(table: TablePlan, key: readonly unknown[] | null, rows: readonly unknown[][]): Promise<void> {
    const name = qualifiedName({ schema: table.targetSchema, name: table.target })
    const columns = keyColumnsOf(table).map(({ target }, i) => `${quoteIdentifier(target)} = $${i + 1}`)
    await this.client.query(`DELETE FROM ${name} ${key ? `WHERE ${columns.join(' AND ')}` : ''}`, (key ?? []).map(bound))
    const marks = table.columns.map((_column, i) => `$${i + 1}`).join(', ')
    const targets = table.columns.map(({ target }) => quoteIdentifier(target)).join(', ')
    for (const row of rows) await this.client.query(`INSERT INTO ${name} (${targets}) VALUES (${marks})`, row.map(bound))
  }

  /** A statement behind the back of the move. */
  async meddle(sql: string): Promise<void> {
    await this.client.query(
      `BEGIN; SET LOCAL tidemark.origin = 'move'; SET LOCAL synchronous_commit = on; SET LOCAL search_path = ${this.#options.schema}; ${sql}; COMMIT`,
    )
  }

  /** Applies and ticks until every range is compared, every change checked and no row in doubt. */
  async settle(checks: Checks): Promise<void> {
    const isSettled = async () => {
      await checks.tick({ appliedSeq: await this.apply() })
      const { rangesDone, checkedSeq, doubtful } = checks.status()
      return rangesDone && doubtful === 0 && checkedSeq === this.head
    }
    await until(isSettled, { intervalMs: 0, timeoutMs: 30_000, what: 'The comparison' })
  }

  /** What differs, by a plain comparison of both sides: `table key state`. */
  async differing(): Promise<string[]> {
    const found: string[] = []
    for (const table of this.plan.tables) {
      const keys = keyColumnsOf(table)
      if (keys.length === 0) continue
      const name = qualifiedName({ schema: table.targetSchema, name: table.target })
      const targets = table.columns.map(({ target }) => `${quoteIdentifier(target)}::text`).join(', ')
      const { rows } = await this.client.query<string[]>({ text: `SELECT ${targets} FROM ${name}`, rowMode: 'array' })
      const places = keys.map((key) => table.columns.indexOf(key))
      const byKey = (some: readonly (readonly unknown[])[]) =>
        new Map(some.map((row) => [places.map((at, i) => `${keys[i]!.source}=${row[at]}`).join(', '), JSON.stringify(row)]))
      const present = byKey(rows)
      const sources = this.#read(table, null).map((row) => row.map((value) => (value === null ? null : String(value))))
      const expected = byKey(sources)
      for (const [key, row] of expected) {
        if (!present.has(key)) found.push(`${table.source} ${key} missing`)
        else if (present.get(key) !== row) found.push(`${table.source} ${key} differs`)
      }
      for (const key of present.keys()) if (!expected.has(key)) found.push(`${table.source} ${key} extra`)
    }
    return found
  }

  async recorded(): Promise<readonly { readonly table_name: string; readonly row_key: string; readonly state: string }[]> {
    const { rows } = await this.client.query<{ table_name: string; row_key: string; state: string }>(
      `SELECT table_name, row_key, difference ->> 'state' AS state FROM tidemark.move_differences WHERE run_id = $1 ORDER BY 1, 2`,
      [this.held.run.id],
    )
    return rows
  }

  async close(): Promise<void> {
    for (const checks of this.#checks) await checks.close()
    this.writer.close()
    await this.client.end()
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.path}${suffix}`, { force: true })
  }
}
