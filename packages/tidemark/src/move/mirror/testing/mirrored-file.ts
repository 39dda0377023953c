/** A file that was cut over: Postgres takes the writes, and a mirror brings them back. */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import BetterSqlite, { type Database } from 'better-sqlite3'
import pg from 'pg'
import { formatPosition, type Position, parseLsn } from '../../../feed/position.js'
import { openCaptureDatabase } from '../../../sqlite/capture/capture-database.js'
import { beginCut, seal } from '../../../sqlite/capture/cut.js'
import { installCapture } from '../../../sqlite/capture/install.js'
import { logHead } from '../../../sqlite/capture/log.js'
import { watchSchema } from '../../../sqlite/capture/watch.js'
import { copyMove } from '../../copy/copy.js'
import { lastingColumns } from '../../invert/target-texts.js'
import type { HeldRun } from '../../live/live-run.js'
import { requireLiveRun } from '../../live/record.js'
import { allowWrites } from '../../live/refuse-writes.js'
import { makeAtFlip, makeUniques } from '../../live/waiting.js'
import { captureTablesOf } from '../../log-key.js'
import type { MoveEvent } from '../../move.js'
import { planMove } from '../../plan/plan.js'
import { comparePlainly } from '../../quirks/plain-comparison.js'
import type { Mirror, MirrorOptions } from '../mirror.js'
import { openMirror } from '../open-mirror.js'
import { dropMirror, prepareMirror } from '../prepare-mirror.js'

export interface MirroredFileOptions {
  readonly folder: string
  readonly url: string
  /** The login that reads the log, where it is another. */
  readonly feedUrl?: string
  readonly schema: string
  readonly make: string | ((writer: Database) => void)
  readonly choicesPath?: string
  readonly mapPath?: string
  readonly journalMode?: 'wal' | 'delete'
  readonly encoding?: string
}

export class MirroredFile {
  readonly path: string
  /** Reads the file, and may not write to it. */
  readonly reader: Database
  readonly client: pg.Client
  readonly events: MoveEvent[] = []
  held: HeldRun
  readonly #options: MirroredFileOptions
  readonly #mirrors: Mirror[] = []

  private constructor(options: MirroredFileOptions, path: string, reader: Database, client: pg.Client, held: HeldRun) {
    this.#options = options
    this.path = path
    this.reader = reader
    this.client = client
    this.held = held
  }

  static async open(options: MirroredFileOptions): Promise<MirroredFile> {
    const { folder, url, schema, make, choicesPath, mapPath, journalMode = 'wal', encoding = 'UTF-8' } = options
    const path = join(folder, `${schema}.db`)
    const target = { url }
    const writer = new BetterSqlite(path)
    writer.pragma(`encoding = '${encoding}'`)
    writer.pragma(`journal_mode = ${journalMode}`)
    writer.pragma('foreign_keys = OFF')
    if (typeof make === 'string') writer.exec(make)
    else make(writer)
    const plan = await planMove({
      path,
      schema,
      live: true,
      ...(choicesPath && { choicesPath }),
      ...(mapPath && ({ into: 'existing', mapPath, target } as const)),
    })
    const { runId } = await copyMove(plan, { target })
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(`SET timezone = 'UTC'; SET search_path = ${schema}`)
    const captureId = randomUUID()
    await client.query("UPDATE tidemark.move_runs SET state = 'following', epoch = 1, capture_id = $2 WHERE id = $1", [
      runId,
      captureId,
    ])
    const file = await openCaptureDatabase(path, { busyTimeoutMs: 2000 })
    await installCapture(file, { runId, captureId, epoch: 1n, tables: captureTablesOf(plan) })
    let held: HeldRun = { run: await requireLiveRun(client, { runId }), epoch: 1n }
    const feedTarget = { url: options.feedUrl ?? url }
    const prepared = await prepareMirror({ held, target, feedTarget })
    await makeUniques(client, held, () => {}, new AbortController().signal)
    const hold = { captureId, epoch: 1n }
    const { schemaVersion } = await file.read((db) => watchSchema(db))
    await beginCut(file, hold, { pauseMs: 60_000, schemaVersion })
    await seal(file, hold, { drainedSeq: logHead(file.db) })
    file.close()
    await client.query("BEGIN; SET LOCAL tidemark.origin = 'move'")
    await makeAtFlip(client, held)
    await allowWrites(client, plan)
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    const cut = formatPosition({ epoch: prepared.position.epoch, number: parseLsn(rows[0]!.lsn) })
    await client.query("UPDATE tidemark.move_runs SET state = 'mirroring', cut_position = $2, slot_name = $3 WHERE id = $1", [
      runId,
      cut,
      prepared.slotName,
    ])
    await client.query('COMMIT')
    held = { run: await requireLiveRun(client, { runId }), epoch: 1n }
    writer.close()
    const reader = new BetterSqlite(path)
    reader.defaultSafeIntegers(true)
    return new MirroredFile(options, path, reader, client, held)
  }

  get target(): { readonly url: string } {
    return { url: this.#options.url }
  }

  get #feedTarget(): { readonly url: string } {
    return { url: this.#options.feedUrl ?? this.#options.url }
  }

  async mirror(options: Partial<MirrorOptions> = {}): Promise<Mirror> {
    const onEvent = (event: MoveEvent) => this.events.push(event)
    const mirror = await openMirror({ held: this.held, target: this.target, feedTarget: this.#feedTarget, onEvent, ...options })
    this.#mirrors.push(mirror)
    return mirror
  }

  /** Where Postgres is. */
  async position(mirror: Mirror): Promise<Position> {
    const { rows } = await this.client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn')
    return { epoch: mirror.position().epoch, number: parseLsn(rows[0]!.lsn) }
  }

  /** Runs statements in Postgres and brings them into the file. */
  async write(mirror: Mirror, ...statements: readonly string[]): Promise<void> {
    for (const sql of statements) await this.client.query(sql)
    await mirror.drainTo(await this.position(mirror), { timeoutMs: 60_000 })
  }

  /** Rows of the file, each value after its storage class. */
  rows(sql: string): unknown[] {
    return this.reader.prepare(sql).raw(true).all()
  }

  async differences(): Promise<
    readonly { readonly table: string; readonly key: string; readonly difference: Record<string, unknown> }[]
  > {
    const { rows } = await this.client.query<{ table: string; key: string; difference: Record<string, unknown> }>(
      'SELECT table_name AS "table", row_key AS key, difference FROM tidemark.move_differences WHERE run_id = $1 ORDER BY 1, 2',
      [this.held.run.id],
    )
    return rows
  }

  /** What is not alike on the two sides, by a comparison that knows nothing of the mirror. */
  async unlike(): Promise<readonly string[]> {
    const found: string[] = []
    const plain = new BetterSqlite(this.path, { readonly: true })
    for (const plan of this.held.run.plan.tables) {
      const table = { ...plan, columns: lastingColumns(plan) }
      const { missing, extra } = await comparePlainly(plain, this.client, table)
      found.push(...missing.map((row) => `${plan.source} only in the file: ${row}`))
      found.push(...extra.map((row) => `${plan.source} only in Postgres: ${row}`))
    }
    plain.close()
    return found
  }

  /** Takes everything away; once more does nothing. */
  async close(): Promise<void> {
    if (!this.reader.open) return
    for (const mirror of this.#mirrors) await mirror.close()
    this.reader.close()
    await dropMirror({ held: this.held, target: this.target, feedTarget: this.#feedTarget })
    await this.client.end()
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.path}${suffix}`, { force: true })
  }
}
