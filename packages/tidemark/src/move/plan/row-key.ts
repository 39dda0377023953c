import type { SqliteDatabase, SqliteTable } from '../../sqlite/sqlite.js'
import type { RowKey } from '../move.js'
import { quoteSqlite } from '../row-source.js'

/** By what the rows of a table are walked: the rowid where it can be named, else the key of a WITHOUT ROWID table, else nothing. */
export const rowKeyOf = (table: SqliteTable): RowKey => {
  if (table.rowidName !== null) return { kind: 'rowid', name: table.rowidName }
  if (table.withoutRowid && table.primaryKey) return { kind: 'columns', columns: table.primaryKey.columns }
  return { kind: 'none' }
}

/** True where a primary key holds NULL, which SQLite allows and which makes rows look alike. */
const holdsNull = (database: SqliteDatabase, table: SqliteTable, key: readonly string[]): boolean => {
  if (table.rowidAlias !== null || table.withoutRowid) return false
  const nullable = key.filter((name) => !table.columns.find((column) => column.name === name)?.notNull)
  const isNull = (name: string) =>
    database.prepare(`SELECT 1 FROM ${quoteSqlite(table.name)} WHERE ${quoteSqlite(name)} IS NULL LIMIT 1`).get() !== undefined
  return nullable.some(isNull)
}

/** The columns by which people know a row: its primary key, with the rowid where that is not enough, or the rowid alone. */
export const reportKeyOf = (database: SqliteDatabase, table: SqliteTable): readonly string[] => {
  const key = table.primaryKey?.columns ?? []
  if (table.rowidName === null || (key.length > 0 && !holdsNull(database, table, key))) return key
  return [...key, table.rowidName]
}
