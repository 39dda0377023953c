import Sqlite from 'better-sqlite3'
import { reasonOf, TidemarkError } from '../errors.js'

/** Where the error arose. */
export interface SqliteErrorContext {
  /** What the wait for a lock was limited to; named in the message. */
  readonly busyTimeoutMs?: number
  readonly sqliteVersion?: string
}

const isFormat = /unsupported file format/i
const isMissingPart = /no such (?:module|function|collation sequence)|unknown (?:tokenizer|function)/i

/** The SQLite result code of anything thrown, such as `SQLITE_BUSY`; null where it came from elsewhere. */
export const sqliteCodeOf = (error: unknown): string | null => (error instanceof Sqlite.SqliteError ? error.code : null)

const byPrimaryCode = (code: string, path: string, reason: string, context: SqliteErrorContext): TidemarkError | null => {
  const timeoutMs = context.busyTimeoutMs ?? 0
  if (/^SQLITE_(?:BUSY|LOCKED|PROTOCOL)/.test(code)) return new TidemarkError('TM_SQLITE_LOCKED', { path, timeoutMs })
  if (code === 'SQLITE_READONLY_ROLLBACK' || code === 'SQLITE_READONLY_RECOVERY')
    return new TidemarkError('TM_SQLITE_HOT_JOURNAL', { path, journal: `${path}-journal` })
  if (code.startsWith('SQLITE_NOTADB')) return new TidemarkError('TM_SQLITE_NOT_A_DATABASE', { path, reason })
  if (code.startsWith('SQLITE_CORRUPT')) return new TidemarkError('TM_SQLITE_CORRUPT', { path, reason })
  if (/^SQLITE_(?:PERM|AUTH|READONLY|CANTOPEN)/.test(code)) return new TidemarkError('TM_SQLITE_PERMISSION', { path, reason })
  if (/^SQLITE_(?:IOERR|FULL|NOLFS|TOOBIG|NOMEM)/.test(code)) return new TidemarkError('TM_SQLITE_IO', { path, reason })
  return null
}

/**
 * Anything SQLite raised while `path` was read, as an error of the table. What is already one stays as it is; what did not come from SQLite
 * becomes TM_INTERNAL with its cause kept.
 */
export const toSqliteError = (error: unknown, path: string, context: SqliteErrorContext = {}): TidemarkError => {
  if (error instanceof TidemarkError) return error
  const code = sqliteCodeOf(error)
  const reason = reasonOf(error)
  if (code === null) return new TidemarkError('TM_INTERNAL', { reason }, { cause: error })
  const known = byPrimaryCode(code, path, `${reason} (${code})`, context)
  if (known) return Object.assign(known, { cause: error })
  if (isFormat.test(reason))
    return new TidemarkError('TM_SQLITE_FORMAT', { path, version: context.sqliteVersion ?? '3', reason }, { cause: error })
  if (isMissingPart.test(reason))
    return new TidemarkError('TM_SQLITE_BUSY_SCHEMA', { path, object: reason.replace(/^.*: /, ''), reason }, { cause: error })
  return new TidemarkError('TM_SQLITE_IO', { path, reason: `${reason} (${code})` }, { cause: error })
}
