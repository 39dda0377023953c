/**
 * How long the entries of indexes are. SQLite takes any length into an index, a B-tree of Postgres an entry of a third of a page. It may
 * compress one to fit, on which nobody can rely.
 */
import type { Database } from 'better-sqlite3'
import { plainExpression } from '../../sqlite/capture/schema-text.js'
import type { SqliteIndex, SqliteTable } from '../../sqlite/sqlite.js'
import { sqliteCodeOf } from '../../sqlite/sqlite-error.js'
import { quoteSqliteName } from '../../sqlite/tokenize.js'
import { quoteSqlite } from '../row-source.js'
import { stretches } from './count-classes.js'

/** What Postgres says of a B-tree: the largest entry, with what it needs besides the values. */
export const largestEntryBytes = 2704
const entryOverheadBytes = 16
const valueOverheadBytes = 8

/** True where an entry of these many bytes, by {@link longestEntries}, may not fit. */
export const isTooLong = (bytes: number | undefined, { parts }: Pick<SqliteIndex, 'parts'>): boolean =>
  bytes !== undefined && bytes > largestEntryBytes - entryOverheadBytes - valueOverheadBytes * parts.length

const isNumber = (table: SqliteTable, column: string | null): boolean =>
  /^(?:INTEGER|REAL)$/.test(table.columns.find(({ name }) => name === column)?.affinity ?? '')

/** SQL of an entry's length; null where it holds numbers alone. */
const bytesSql = (table: SqliteTable, { parts }: SqliteIndex): string | null => {
  const values = parts.flatMap(({ column, expression }) => {
    if (isNumber(table, column)) return []
    return [column === null ? plainExpression(expression ?? 'NULL', table.columns) : quoteSqliteName(column)]
  })
  return values.length === 0 ? null : values.map((value) => `coalesce(octet_length(${value}), 0)`).join(' + ')
}

const longestOf = (database: Database, table: SqliteTable, sql: string, signal: AbortSignal | undefined): number => {
  let longest = 0
  for (const { where, values } of stretches(database, table)) {
    signal?.throwIfAborted()
    const statement = database.prepare<unknown[], number | null>(
      `SELECT max(${sql}) FROM ${quoteSqlite(table.name)} WHERE ${where}`,
    )
    longest = Math.max(
      longest,
      statement
        .pluck()
        .safeIntegers(false)
        .get(...values) ?? 0,
    )
  }
  return longest
}

/**
 * The longest entry of each index in bytes of UTF-8, or more; indexes of numbers are left out, and those over functions that only the
 * application has. Of a column no value is read, only how long it is.
 */
export const longestEntries = (
  database: Database,
  table: SqliteTable,
  signal: AbortSignal | undefined,
): ReadonlyMap<string, number> => {
  const longest = new Map<string, number>()
  // Of two bytes in UTF-16, UTF-8 makes up to three.
  const factor = database.pragma('encoding', { simple: true }) === 'UTF-8' ? 1 : 1.5
  for (const index of table.indexes) {
    const sql = bytesSql(table, index)
    if (sql === null) continue
    try {
      longest.set(index.name, Math.ceil(longestOf(database, table, sql, signal) * factor))
    } catch (error) {
      const isUnknown = sqliteCodeOf(error) === 'SQLITE_ERROR' && index.parts.some(({ column }) => column === null)
      if (!isUnknown) throw error
    }
  }
  return longest
}
