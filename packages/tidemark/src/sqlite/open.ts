import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import Sqlite from 'better-sqlite3'
import { TidemarkError } from '../errors.js'
import { describeTruncation, fileIdOf, inspectFile, standsAlone } from './file-facts.js'
import type { OpenSqliteOptions, SqliteDatabase, SqliteFile } from './sqlite.js'
import { sqliteCodeOf, toSqliteError } from './sqlite-error.js'

const uriVariable = 'SQLITE_USE_URI'
let version: string | undefined

/**
 * Version of the SQLite library that Tidemark reads with. The library reads once, when its first database is opened, whether names may be URIs
 * (needed for files that nobody can change); that is why the first one is opened here.
 */
export const sqliteLibraryVersion = (): string => {
  if (version) return version
  const before = process.env[uriVariable]
  process.env[uriVariable] = '1'
  const db = new Sqlite(':memory:')
  if (before === undefined) delete process.env[uriVariable]
  else process.env[uriVariable] = before
  version = db.prepare<[], string>('SELECT sqlite_version()').pluck().get() ?? '3'
  db.close()
  return version
}

const readSchema = (db: SqliteDatabase): unknown => db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()

/**
 * One catalogue entry that SQLite cannot parse makes it refuse the whole file. On a read-only connection it may be told to leave such
 * entries out, so that the others can be read; introspection names what is missing.
 */
const readSchemaAnyway = (db: SqliteDatabase): void => {
  try {
    readSchema(db)
  } catch (error) {
    if (!(error instanceof Error) || !/^malformed database schema/.test(error.message)) throw error
    db.unsafeMode(true)
    db.pragma('writable_schema = ON')
    readSchema(db)
  }
}

/** The driver cuts blanks off the ends of a path; a URI keeps them. */
export const driverName = (path: string, unchanging: boolean): string => {
  if (unchanging) return `${pathToFileURL(path).href}?immutable=1`
  return path === path.trim() ? path : pathToFileURL(path).href
}

const connect = (path: string, busyTimeoutMs: number, unchanging: boolean): SqliteDatabase => {
  const db = new Sqlite(driverName(path, unchanging), { readonly: true, fileMustExist: true, timeout: busyTimeoutMs })
  try {
    // A file is first read here, so what is wrong with it shows itself now and not in the middle of a move.
    readSchemaAnyway(db)
    // Rows are read once and in order: a large page cache would only take memory from each connection.
    db.pragma('cache_size = -2000')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** SQLite wants to put its -wal and -shm beside the file and may not. */
const isFolderRefusal = (error: unknown): boolean =>
  /^SQLITE_(?:CANTOPEN|READONLY_DIRECTORY|READONLY_CANTINIT)$/.test(sqliteCodeOf(error) ?? '')

const explain = (error: unknown, path: string, busyTimeoutMs: number): TidemarkError => {
  const found = toSqliteError(error, path, { busyTimeoutMs, sqliteVersion: sqliteLibraryVersion() })
  if (found.code !== 'TM_SQLITE_CORRUPT' && found.code !== 'TM_SQLITE_NOT_A_DATABASE') return found
  const reason = describeTruncation(path)
  return reason ? new TidemarkError('TM_SQLITE_CORRUPT', { path, reason }, { cause: error }) : found
}

const file = (path: string, db: SqliteDatabase, assumedUnchanging: boolean): SqliteFile => ({
  path,
  db,
  sqliteVersion: sqliteLibraryVersion(),
  fileId: fileIdOf(path),
  assumedUnchanging,
  close: () => {
    db.close()
  },
})

/**
 * Opens a SQLite file for reading while other programs go on using it.
 *
 * Raises TM_SQLITE_NOT_FOUND, _EMPTY, _NOT_A_DATABASE, _CORRUPT, _FORMAT, _LOCKED, _PERMISSION, _WAL_ONLY, _HOT_JOURNAL or _IO.
 */
export const openSqlite = (path: string, { busyTimeoutMs }: OpenSqliteOptions): SqliteFile => {
  const absolute = resolve(path)
  inspectFile(absolute, sqliteLibraryVersion())
  try {
    return file(absolute, connect(absolute, busyTimeoutMs, false), false)
  } catch (error) {
    if (!isFolderRefusal(error) || !standsAlone(absolute)) throw explain(error, absolute, busyTimeoutMs)
  }
  try {
    return file(absolute, connect(absolute, busyTimeoutMs, true), true)
  } catch (error) {
    throw explain(error, absolute, busyTimeoutMs)
  }
}
