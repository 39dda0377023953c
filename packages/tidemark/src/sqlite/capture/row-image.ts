/**
 * The image of a new row: a table of one row, for the moment in which a trigger looks at it. Its columns are those of the real table, so that
 * what is put there becomes what would be stored, and expressions over it are what an index would make of them. No constraint stands in it.
 */
import type { SqliteColumn, SqliteTable } from '../sqlite.js'
import { quoteSqliteName } from '../tokenize.js'
import type { AbsentColumns } from './absent-columns.js'
import type { CaptureTable } from './capture.js'
import { plainDefault, plainExpression } from './schema-text.js'
import type { TriggerText } from './trigger-text.js'

const bareName = ({ id }: Pick<CaptureTable, 'id'>): string => `_tidemark_image_${id}`

export const imageName = (capture: CaptureTable): string => quoteSqliteName(bareName(capture))

/** True where REPLACE puts a default in the place of NULL. */
export const hasStandIn = ({ notNull, defaultSql }: SqliteColumn): boolean => notNull && defaultSql !== null

/** A value of the new row, before anything is converted. */
export const newValue = (column: SqliteColumn): string => {
  const value = `NEW.${quoteSqliteName(column.name)}`
  return hasStandIn(column) ? `coalesce(${value}, ${plainDefault(column.defaultSql ?? 'NULL')})` : value
}

const imageColumn = (table: SqliteTable, column: SqliteColumn): string => {
  const type = column.affinity === 'BLOB' ? '' : ` ${column.affinity}`
  const collation = column.collation === 'BINARY' ? '' : ` COLLATE ${quoteSqliteName(column.collation)}`
  const { generated } = column
  const expression = generated && ` AS (${plainExpression(generated.expression, table.columns)}) ${generated.kind}`
  return `${quoteSqliteName(column.name)}${type}${collation}${expression ?? ''}`
}

/** The table behind the image; null where none of these triggers uses it. */
export const imageTable = (table: SqliteTable, capture: CaptureTable, triggers: readonly TriggerText[]): TriggerText | null => {
  if (!triggers.some(({ sql }) => sql.includes(imageName(capture)))) return null
  const columns = table.columns.map((column) => imageColumn(table, column))
  return { name: bareName(capture), sql: `CREATE TABLE ${imageName(capture)} (${columns.join(', ')})` }
}

/**
 * Statements that have the image to look at. It has the values of some columns only: the application may drop any other while the trigger
 * stands. `absent` stands in for those that it may drop all the same.
 */
export const withImage = (
  table: SqliteTable,
  capture: CaptureTable,
  columns: readonly string[],
  statements: string,
  absent: AbsentColumns | null = null,
): string => {
  const stored = table.columns.filter(({ generated }) => !generated)
  const wanted = stored.filter(({ name }) => columns.includes(name))
  const [names, values] = [wanted.map(({ name }) => quoteSqliteName(name)), wanted.map(newValue)]
  // An index over a constant wants no column; a trigger knows no DEFAULT VALUES.
  const into = names.length > 0 ? names : stored.slice(0, 1).map(({ name }) => quoteSqliteName(name))
  const from = absent ? ` FROM ${absent.as('new')}` : ''
  const row = values.length > 0 ? values.map((value) => (absent ? `(SELECT ${value})` : value)) : ['NULL']
  const image = imageName(capture)
  return `INSERT INTO ${image} (${into.join(', ')}) SELECT ${row.join(', ')}${from}; ${statements} DELETE FROM ${image};`
}
