import { resolve } from 'node:path'
import Sqlite from 'better-sqlite3'
import { TidemarkError } from '../../errors.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { fileIdOf, inspectFile } from '../file-facts.js'
import { driverName, sqliteLibraryVersion } from '../open.js'
import type { SqliteDatabase, SqliteFileId } from '../sqlite.js'
import { sqliteCodeOf, toSqliteError } from '../sqlite-error.js'
import type { CaptureDatabase, WaitOptions } from './capture.js'

export interface OpenCaptureOptions {
  /** How long a transaction waits for other writers in all, unless it says otherwise. */
  readonly busyTimeoutMs: number
  readonly clock?: Clock
  readonly signal?: AbortSignal
}

/** How long one try may block the thread. */
const tryMs = 20
const maxPauseMs = 12

// Rows written here are the file's truth already; cascades come as rows of their own, and what is confirmed must be on the disk.
const pragmas = ['foreign_keys = OFF', 'recursive_triggers = OFF', 'synchronous = FULL', 'cache_size = -2000']

const isBusy = (error: unknown): boolean => /^SQLITE_(?:BUSY|LOCKED|PROTOCOL)/.test(sqliteCodeOf(error) ?? '')

const explain = (error: unknown, path: string, timeoutMs: number): TidemarkError => {
  const code = sqliteCodeOf(error) ?? ''
  if (/^SQLITE_(?:READONLY|CANTOPEN|PERM|AUTH)/.test(code) && !/ROLLBACK|RECOVERY/.test(code))
    return new TidemarkError('TM_SQLITE_READ_ONLY', { path, reason: `${(error as Error).message} (${code})` }, { cause: error })
  return toSqliteError(error, path, { busyTimeoutMs: timeoutMs, sqliteVersion: sqliteLibraryVersion() })
}

class Connection implements CaptureDatabase {
  readonly path: string
  readonly db: SqliteDatabase
  readonly fileId: SqliteFileId
  readonly #timeoutMs: number
  readonly #clock: Clock

  constructor(path: string, db: SqliteDatabase, fileId: SqliteFileId, timeoutMs: number, clock: Clock) {
    this.path = path
    this.db = db
    this.fileId = fileId
    this.#timeoutMs = timeoutMs
    this.#clock = clock
  }

  read<T>(work: (db: SqliteDatabase) => T, options: WaitOptions = {}): Promise<T> {
    return this.#patiently(() => this.#transaction('BEGIN', work, 'COMMIT'), options)
  }

  write<T>(work: (db: SqliteDatabase) => T, options: WaitOptions = {}): Promise<T> {
    return this.#patiently(() => this.#transaction('BEGIN IMMEDIATE', work, 'COMMIT'), options)
  }

  /** Sets the connection up, writes a page and takes it back: whether this user may, shows itself now and not in the middle of a move. */
  async prepare(options: WaitOptions): Promise<void> {
    const touch = (db: SqliteDatabase) => {
      db.pragma(`user_version = ${db.pragma('user_version', { simple: true })}`)
    }
    await this.#patiently(() => {
      for (const pragma of pragmas) this.db.pragma(pragma)
    }, options)
    await this.#patiently(() => this.#transaction('BEGIN IMMEDIATE', touch, 'ROLLBACK'), options)
  }

  close(): void {
    this.db.close()
  }

  #transaction<T>(begin: string, work: (db: SqliteDatabase) => T, end: string): T {
    const { db } = this
    db.exec(begin)
    try {
      const result = work(db)
      db.exec(end)
      return result
    } catch (error) {
      // Some errors end the transaction by themselves. A commit that readers stand in the way of is given up as well: whoever keeps
      // trying holds a lock meanwhile.
      if (db.inTransaction) db.exec('ROLLBACK')
      throw error
    }
  }

  async #patiently<T>(attempt: () => T, { timeoutMs = this.#timeoutMs, signal }: WaitOptions): Promise<T> {
    const endMs = this.#clock.monotonicMs() + timeoutMs
    for (;;) {
      signal?.throwIfAborted()
      try {
        return attempt()
      } catch (error) {
        if (sqliteCodeOf(error) === null) throw error
        if (!isBusy(error) || this.#clock.monotonicMs() >= endMs) throw explain(error, this.path, timeoutMs)
      }
      await this.#clock.sleep(1 + Math.random() * maxPauseMs, signal)
    }
  }
}

/**
 * Opens a SQLite file for what a live move writes into it, while other programs go on using it.
 *
 * Raises TM_SQLITE_READ_ONLY where this user may not write, TM_SQLITE_LOCKED, TM_SQLITE_CHANGED, and what openSqlite raises.
 */
export const openCaptureDatabase = async (path: string, options: OpenCaptureOptions): Promise<CaptureDatabase> => {
  const { busyTimeoutMs, clock = systemClock, signal } = options
  const absolute = resolve(path)
  inspectFile(absolute, sqliteLibraryVersion())
  const before = fileIdOf(absolute)
  let db: SqliteDatabase
  try {
    db = new Sqlite(driverName(absolute, false), { fileMustExist: true, timeout: tryMs })
  } catch (error) {
    throw explain(error, absolute, busyTimeoutMs)
  }
  try {
    const file = new Connection(absolute, db, before, busyTimeoutMs, clock)
    await file.prepare(signal ? { signal } : {})
    const { inode, device } = fileIdOf(absolute)
    if (inode !== before.inode || device !== before.device)
      throw new TidemarkError('TM_SQLITE_CHANGED', { path: absolute, reason: 'another file took its place while it was opened' })
    return file
  } catch (error) {
    db.close()
    throw error
  }
}
