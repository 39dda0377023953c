import type { SqliteTable } from '../../sqlite/sqlite.js'
import type { RowKey } from '../move.js'

/** By what the rows of a table are walked: the rowid where it can be named, else the key of a WITHOUT ROWID table, else nothing. */
export const rowKeyOf = (table: SqliteTable): RowKey => {
  if (table.rowidName !== null) return { kind: 'rowid', name: table.rowidName }
  if (table.withoutRowid && table.primaryKey) return { kind: 'columns', columns: table.primaryKey.columns }
  return { kind: 'none' }
}

/** The columns by which people know a row: its primary key, else nothing (the rowid is shown then). */
export const reportKeyOf = (table: SqliteTable): readonly string[] =>
  table.primaryKey?.columns ?? (table.rowidName ? [table.rowidName] : [])
