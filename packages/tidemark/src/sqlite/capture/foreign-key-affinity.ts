import type { SqliteForeignKey, SqliteSchema, SqliteTable } from '../sqlite.js'
import { foldAscii } from '../tokenize.js'
import type { LogKey } from './capture.js'

const isSame = (a: string, b: string): boolean => foldAscii(a) === foldAscii(b)

const affinityIn = ({ columns }: SqliteTable, name: string): string | undefined =>
  columns.find((column) => isSame(column.name, name))?.affinity

const converts = (parent: SqliteTable, child: SqliteTable, key: SqliteForeignKey, column: string): boolean =>
  key.parentColumns.some((name, i) => {
    const affinity = affinityIn(child, key.columns[i] ?? '')
    return isSame(name, column) && /^(?:INTEGER|NUMERIC|REAL)$/.test(affinity ?? '') && affinity !== affinityIn(parent, name)
  })

/**
 * True where SQLite may hand the key to an AFTER trigger as another value than the row has: to look for rows that refer to it through an
 * index on a numeric column, it turns the text '007' into the number 7 in the very place from which triggers read.
 */
export const isKeyConverted = (schema: Pick<SqliteSchema, 'tables'>, table: SqliteTable, key: LogKey): boolean =>
  key.kind === 'columns' &&
  key.columns.some((column) =>
    schema.tables.some((child) =>
      child.foreignKeys.some(
        (foreignKey) => isSame(foreignKey.parentTable, table.name) && converts(table, child, foreignKey, column),
      ),
    ),
  )
