/** The log of changed keys: read in the order of commits, pruned from below, and written by the mirror for its own changes. */
import type { Statement } from 'better-sqlite3'
import { TidemarkError } from '../../errors.js'
import { keptStatement } from '../kept-statement.js'
import { RawText } from '../raw-text.js'
import type { SqliteDatabase } from '../sqlite.js'
import type { CaptureDatabase, CaptureTable, LogEntry, LogKeyValue, WaitOptions } from './capture.js'
import { requireControl } from './control.js'
import { bindLogValue, logValueMark } from './row-condition.js'
import { storedTables } from './stored-tables.js'

const pruneBatch = 2000n

/** How many values a key has, by the table's number; 0 for a table without a key. */
const keyWidths = (db: SqliteDatabase): ReadonlyMap<number, number> =>
  new Map(storedTables(db).map(({ id, key }) => [id, key.kind === 'columns' ? key.columns.length : key.kind === 'rowid' ? 1 : 0]))

const logWidth = (db: SqliteDatabase): number =>
  keptStatement<[], number>(db, `SELECT count(*) - 2 FROM pragma_table_info('_tidemark_log')`)
    .safeIntegers(false)
    .pluck()
    .get() ?? 0

const keyColumns = (width: number): readonly string[] => Array.from({ length: width }, (_, i) => `k${i}`)

/** A text as read may not be what is in the file: U+FFFD may stand for bytes that are no UTF-8. */
const isDoubtful = (value: LogKeyValue): boolean => typeof value === 'string' && value.includes('\uFFFD')

/** A string where the bytes make one. */
const textOf = (bytes: Buffer, isUtf8: boolean): string | RawText => {
  const text = isUtf8 ? bytes.toString() : ''
  return isUtf8 && Buffer.from(text).equals(bytes) ? text : new RawText(bytes)
}

const rawKey = (db: SqliteDatabase, seq: bigint, width: number, isUtf8: boolean): readonly LogKeyValue[] => {
  const columns = keyColumns(width).map(
    (name) => `typeof(${name}) = 'text', CASE typeof(${name}) WHEN 'text' THEN CAST(${name} AS BLOB) ELSE ${name} END`,
  )
  const values = db
    .prepare<[bigint], LogKeyValue[]>(`SELECT ${columns.join(', ')} FROM _tidemark_log WHERE seq = ?`)
    .raw(true)
    .safeIntegers(true)
    .get(seq)
  return keyColumns(width).map((_, i) => {
    const value = values?.[i * 2 + 1] ?? null
    return values?.[i * 2] === 1n ? textOf(value as Buffer, isUtf8) : value
  })
}

export interface ReadLogOptions {
  /** Entries behind this number; 0n from the beginning. */
  readonly after: bigint
  readonly limit: number
}

/** Entries in the order of their making. To be read in the same read transaction as the rows that they name. */
export const readLog = (db: SqliteDatabase, { after, limit }: ReadLogOptions): readonly LogEntry[] => {
  const widths = keyWidths(db)
  const isUtf8 = keptStatement<[], string>(db, 'PRAGMA encoding').pluck().get() === 'UTF-8'
  const sql = ['SELECT seq, t', ...keyColumns(logWidth(db))].join(', ')
  const rows = keptStatement<[bigint, number], LogKeyValue[]>(db, `${sql} FROM _tidemark_log WHERE seq > ? ORDER BY seq LIMIT ?`)
    .raw(true)
    .safeIntegers(true)
    .all(after, limit)
  return rows.map((row) => {
    const [seq, t] = row as [bigint, bigint]
    const table = Number(t)
    const width = widths.get(table) ?? 0
    const key = row.slice(2, 2 + width)
    const isRaw = key.some(isUtf8 ? isDoubtful : (value) => typeof value === 'string')
    return { seq, table, key: width === 0 ? null : isRaw ? rawKey(db, seq, width, isUtf8) : key }
  })
}

/** Number of the newest entry; 0n while there is none. It never goes back as long as the file is the same. */
export const logHead = (db: SqliteDatabase): bigint =>
  keptStatement<[], bigint | null>(db, 'SELECT max(seq) FROM _tidemark_log').safeIntegers(true).pluck().get() ?? 0n

/** The oldest entry that may go; null where none may. */
const firstToPrune = (db: SqliteDatabase, last: bigint): bigint | null => {
  const oldest = keptStatement<[], bigint | null>(db, 'SELECT min(seq) FROM _tidemark_log')
  const tail = oldest.safeIntegers(true).pluck().get() ?? null
  return tail === null || tail > last || tail === logHead(db) ? null : tail
}

const lesser = (a: bigint, b: bigint): bigint => (a < b ? a : b)

/** Removes one batch; how many went. */
const pruneOnce = (db: SqliteDatabase, last: bigint): number => {
  const first = firstToPrune(db, last)
  if (first === null) return 0
  const end = lesser(lesser(first + pruneBatch - 1n, last), logHead(db) - 1n)
  return db.prepare('DELETE FROM _tidemark_log WHERE seq <= ?').run(end).changes
}

/**
 * Removes entries up to and including `upTo`, in transactions of a few milliseconds. The newest entry always stays: SQLite gives its number
 * again once it is gone. Answers how many went. Raises TM_SQLITE_LOCKED, TM_SQLITE_CHANGED.
 */
export const pruneLog = async (
  file: CaptureDatabase,
  captureId: string,
  upTo: bigint,
  options: WaitOptions = {},
): Promise<number> => {
  let removed = 0
  // Looked at before a write lock is asked for: mostly there is nothing to do.
  while ((await file.read((db) => firstToPrune(db, upTo), options)) !== null) {
    removed += await file.write((db) => {
      requireControl(db, captureId)
      return pruneOnce(db, upTo)
    }, options)
  }
  return removed
}

/** As many kinds of keys are written as there are shapes of them: one or two for a table. */
const appendOf = (db: SqliteDatabase, key: readonly LogKeyValue[]): Statement => {
  const columns = ['t', ...keyColumns(key.length)].join(', ')
  return keptStatement(db, `INSERT INTO _tidemark_log (${columns}) VALUES (${['?', ...key.map(logValueMark)].join(', ')})`)
}

/** Adds entries for changes that no trigger saw, such as the mirror's, in the caller's write transaction. */
export const appendLog = (db: SqliteDatabase, table: CaptureTable, keys: readonly (readonly LogKeyValue[] | null)[]): void => {
  for (const key of keys) {
    const { changes } = appendOf(db, key ?? []).run(BigInt(table.id), ...(key ?? []).map(bindLogValue))
    if (changes !== 1) throw new TidemarkError('TM_INTERNAL', { reason: `the log of ${db.name} took no entry` })
  }
}
