/**
 * How long the entries of indexes are. SQLite takes any length into an index, a B-tree of Postgres an entry of a third of a page. It may
 * compress one to fit, on which nobody can rely.
 */
import type { Database } from 'better-sqlite3'
import { columnsIn, plainExpression } from '../../sqlite/capture/schema-text.js'
import type { SqliteColumn, SqliteIndex, SqliteTable } from '../../sqlite/sqlite.js'
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

/** The columns behind an index that may hold text or bytes. */
const columnsOf = (table: SqliteTable, { parts }: SqliteIndex): readonly SqliteColumn[] =>
  columnsIn(
    parts.map(({ column, expression }) => (column === null ? expression : quoteSqliteName(column))).join(' '),
    table.columns,
  ).filter(({ affinity, generated }) => generated === null && affinity !== 'INTEGER' && affinity !== 'REAL')

/** The largest of each expression; no stretch of reading is long. */
const largestOf = (
  database: Database,
  table: SqliteTable,
  expressions: readonly string[],
  signal: AbortSignal | undefined,
): readonly number[] => {
  const largest = expressions.map(() => 0)
  if (expressions.length === 0) return largest
  const select = `SELECT ${expressions.map((sql) => `max(${sql})`).join(', ')} FROM ${quoteSqlite(table.name)}`
  for (const { where, values } of stretches(database, table)) {
    signal?.throwIfAborted()
    const statement = database.prepare<unknown[], (number | null)[]>(`${select} WHERE ${where}`).raw(true).safeIntegers(false)
    const found = statement.get(...values) ?? []
    for (const [i, bytes] of found.entries()) largest[i] = Math.max(largest[i]!, bytes ?? 0)
  }
  return largest
}

/** SQL of an entry's length. */
const entrySql = (table: SqliteTable, { parts }: SqliteIndex): string =>
  parts
    .map(({ column, expression }) =>
      column === null ? plainExpression(expression ?? 'NULL', table.columns) : quoteSqliteName(column),
    )
    .map((value) => `coalesce(octet_length(${value}), 0)`)
    .join(' + ')

/**
 * The longest entry, in bytes of UTF-8 or more, of each index that has an entry which may be too long. First no value is read, only how long
 * those of whole columns are; entries themselves are looked at where that leaves a doubt, apart from functions that only the application has.
 */
export const longestEntries = (
  database: Database,
  table: SqliteTable,
  signal: AbortSignal | undefined,
): ReadonlyMap<string, number> => {
  const columns = [...new Set(table.indexes.flatMap((index) => columnsOf(table, index)))]
  const lengths = columns.map(({ name }) => `octet_length(${quoteSqliteName(name)})`)
  const largest = largestOf(database, table, lengths, signal)
  // Of two bytes in UTF-16, UTF-8 makes up to three.
  const factor = database.pragma('encoding', { simple: true }) === 'UTF-8' ? 1 : 1.5
  const boundOf = (index: SqliteIndex) =>
    columnsOf(table, index).reduce((sum, column) => sum + largest[columns.indexOf(column)]! * factor, 0)
  const longest = new Map<string, number>()
  for (const index of table.indexes.filter((each) => isTooLong(boundOf(each), each))) {
    try {
      const [bytes = 0] = largestOf(database, table, [entrySql(table, index)], signal)
      longest.set(index.name, Math.ceil(bytes * factor))
    } catch (error) {
      const isUnknown = sqliteCodeOf(error) === 'SQLITE_ERROR' && index.parts.some(({ column }) => column === null)
      if (!isUnknown) throw error
    }
  }
  return longest
}
