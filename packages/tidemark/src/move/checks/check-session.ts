/** The two connections that checks read with: opened when they are needed, and again after one was lost. */
import type { Database } from 'better-sqlite3'
import type pg from 'pg'
import { isTidemarkError } from '../../errors.js'
import { connectPostgres } from '../../postgres/driver/connect.js'
import { parseConnection, type Target } from '../../postgres/driver/connection.js'
import { isConnectionLoss, sqlstateOf, toPostgresError } from '../../postgres/postgres-error.js'
import { openSqlite } from '../../sqlite/open.js'
import type { SqliteFile } from '../../sqlite/sqlite.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import { ChangeLog } from './change-log.js'
import type { ChecksOptions } from './checks.js'
import { comparisonSettings } from './differing-keys.js'
import type { Link } from './link.js'

export interface CheckSession {
  readonly database: Database
  readonly client: pg.Client
  readonly log: ChangeLog
}

/** A locked file is tried again at the next tick; the thread is blocked no longer than that. */
const lockWaitMs = 50

export class CheckSessions {
  readonly #options: ChecksOptions
  readonly #links: ReadonlyMap<string, Link | null>
  #file: SqliteFile | undefined
  #session: CheckSession | undefined

  /** `links`: of every table that is compared. */
  constructor(options: ChecksOptions, links: ReadonlyMap<string, Link | null>) {
    this.#options = options
    this.#links = links
  }

  async open(): Promise<CheckSession> {
    if (this.#session) return this.#session
    const { held, target, busyTimeoutMs = lockWaitMs } = this.#options
    const client = await connectPostgres({ ...target, name: 'move-checks' })
    try {
      await client.query(comparisonSettings)
      this.#file = openSqlite(held.run.path, { readonly: true, busyTimeoutMs })
      const { db: database } = this.#file
      this.#session = { client, database, log: new ChangeLog(database, this.#links) }
      return this.#session
    } catch (error) {
      await client.end().catch(() => undefined)
      throw error
    }
  }

  async close(): Promise<void> {
    const [session, file] = [this.#session, this.#file]
    this.#session = undefined
    this.#file = undefined
    file?.close()
    await session?.client.end().catch(() => undefined)
  }

  /** True for what passes by itself: a lost connection, a file that another program has locked. */
  async survives(error: unknown): Promise<boolean> {
    const isLocked = /^SQLITE_(?:BUSY|LOCKED)/.test(sqliteCodeOf(error) ?? '') || isTidemarkError(error, 'TM_SQLITE_LOCKED')
    if (!isLocked && !isConnectionLoss(toPostgresError(error, this.#target))) return false
    if (!isLocked) await this.close()
    return true
  }

  get #target(): Target {
    const { target } = this.#options
    return parseConnection(target.url, target)
  }

  /** What a driver raised, as an error of the table. */
  explain(error: unknown): unknown {
    if (isTidemarkError(error) || this.#options.signal?.aborted) return error
    if (sqliteCodeOf(error) !== null) return toSqliteError(error, this.#options.held.run.path)
    return sqlstateOf(error) === undefined ? error : toPostgresError(error, this.#target)
  }
}
