/**
 * Triggers for the rows that a REPLACE removes. SQLite fires no delete trigger for them unless the connection asks for it
 * (recursive_triggers), so each row that the new one may push out is logged beforehand: a few keys too many, none too few.
 */
import type { SqliteColumn, SqliteIndex, SqliteIndexPart, SqliteTable } from '../sqlite.js'
import { foldAscii, quoteSqliteName } from '../tokenize.js'
import { AbsentColumns } from './absent-columns.js'
import type { CaptureTable } from './capture.js'
import { rowidWord, rowidWordsFor } from './key-expressions.js'
import { imageName, newValue, withImage } from './row-image.js'
import { columnsBehind, columnsIn, plainExpression } from './schema-text.js'
import { createTrigger, logRowsSql, rowDiffers, type TriggerText } from './trigger-text.js'

const columnOf = ({ columns }: SqliteTable, name: string): SqliteColumn | undefined =>
  columns.find((column) => foldAscii(column.name) === foldAscii(name))

const isKey = ({ key }: CaptureTable, name: string): boolean =>
  key.kind === 'rowid' || (key.kind === 'columns' && key.columns.length === 1 && key.columns[0] === name)

/** True where values that the index holds for equal are the same to the byte. A column of no affinity may hold both 1 and 1.0. */
const isStrictlyEqual = (table: SqliteTable, { column, collation }: SqliteIndexPart): boolean => {
  if (column === null) return false
  return column === table.rowidAlias || (collation === 'BINARY' && columnOf(table, column)?.affinity !== 'BLOB')
}

/** True where a row in conflict has the key of the new one, which is logged anyway. */
const coversKey = (table: SqliteTable, { key }: CaptureTable, { parts }: SqliteIndex): boolean => {
  const names = key.kind === 'columns' ? key.columns : key.kind === 'rowid' ? [key.name] : []
  return names.every((name) => parts.some((part) => part.column === name && isStrictlyEqual(table, part)))
}

/** Conflicts over an index that holds the rowid itself are conflicts over the rowid. */
const holdsRowid = ({ parts }: SqliteIndex): boolean => parts.some(({ expression }) => expression === 'rowid')

const guardedIndexes = (table: SqliteTable, capture: CaptureTable): readonly SqliteIndex[] =>
  table.indexes.filter((index) => index.unique && !holdsRowid(index) && !coversKey(table, capture, index))

/** Only the real row computes expressions as the index does: comparisons in them depend on the affinity of the columns, and NEW has none. */
const needsImage = (table: SqliteTable, { parts }: SqliteIndex): boolean =>
  parts.some(({ column }) => column === null || columnOf(table, column)?.generated)

const partSql = (table: SqliteTable, { column, expression }: SqliteIndexPart): string =>
  column === null ? `(${plainExpression(expression ?? '', table.columns)})` : quoteSqliteName(column)

/** By what the rows of the guard's own table are told apart exactly; null where nothing does. */
const handleOf = (table: SqliteTable): readonly string[] | null => {
  if (table.rowidName !== null) return [rowidWord(table.rowidName)]
  return table.withoutRowid && table.primaryKey ? table.primaryKey.columns.map(quoteSqliteName) : null
}

const textOf = ({ parts, where }: SqliteIndex): string =>
  [...parts.map(({ column, expression }) => (column === null ? (expression ?? '') : quoteSqliteName(column))), where ?? ''].join(
    ' ',
  )

/** The columns that may go while the guard stands. Those of a constraint can go only with the table, and its triggers with it. */
const absentIn = (table: SqliteTable, index: SqliteIndex): AbsentColumns | null => {
  const columns = columnsIn(textOf(index), table.columns).map(({ name }) => name)
  return index.origin === 'c' && columns.length > 0 && handleOf(table) !== null ? new AbsentColumns(columns) : null
}

/** The columns on which a row's place in an index depends. */
const dependsOn = (table: SqliteTable, index: SqliteIndex): readonly string[] => columnsBehind(textOf(index), table.columns)

/** Its own name, so that the row of a trigger is not taken for a table called "new". */
const rowName = '_tidemark_row'

/** Statements that log the rows which hold the new row's place in an index. */
const logHolders = (table: SqliteTable, capture: CaptureTable, index: SqliteIndex): string => {
  const viaImage = needsImage(table, index)
  const conditions = index.parts.map((part) => {
    const text = partSql(table, part)
    const column = part.column === null ? undefined : columnOf(table, part.column)
    const value = viaImage || !column ? `(SELECT ${text} FROM ${imageName(capture)})` : newValue(column)
    return `${text} = ${value} COLLATE ${quoteSqliteName(part.collation)}`
  })
  // Of a partial index, the rows in it; whether the new one will be in it, is left open.
  const partial = index.where === null ? [] : [`(${plainExpression(index.where, table.columns)})`]
  const [where, from] = [[...conditions, ...partial].join(' AND '), `${quoteSqliteName(table.name)} AS ${rowName}`]
  const absent = absentIn(table, index)
  const log = absent ? logAround(table, capture, where, absent) : logRowsSql(capture, from, where, rowName)
  return viaImage ? withImage(table, capture, dependsOn(table, index), log, absent) : log
}

/** The row, of which an index holds but one, is found in a query of its own, so that columns that went are looked for outside of it. */
const logAround = (table: SqliteTable, capture: CaptureTable, where: string, absent: AbsentColumns): string => {
  const handle = handleOf(table) ?? []
  const names = handle.map((name) => `${rowName}.${name}`)
  const found = `(SELECT ${names.join(', ')} FROM ${quoteSqliteName(table.name)} AS ${rowName} WHERE ${where})`
  const row = names.length === 1 ? names[0] : `(${names.join(', ')})`
  return logRowsSql(capture, `${quoteSqliteName(table.name)} AS ${rowName}, ${absent.as('new')}`, `${row} = ${found}`, rowName)
}

/** Names of the rowid, where a row may be given one that is not its key. */
const looseRowids = (table: SqliteTable, capture: CaptureTable): readonly string[] => {
  if (table.withoutRowid || table.rowidName === null || isKey(capture, table.rowidName)) return []
  const alias = table.rowidAlias === null ? [] : [quoteSqliteName(table.rowidAlias)]
  return [...alias, ...rowidWordsFor(table.columns)]
}

const logRowidHolder = (table: SqliteTable, capture: CaptureTable): string => {
  const rowid = rowidWord(table.rowidName ?? 'rowid')
  const from = `${quoteSqliteName(table.name)} AS ${rowName}`
  // A rowid that SQLite is to choose reads -1 here. Asking for that row costs less than being wrong about it.
  return logRowsSql(capture, from, `${rowName}.${rowid} = NEW.${rowid}`, rowName)
}

const guardUpdates = (table: SqliteTable, capture: CaptureTable, index: SqliteIndex, n: number): readonly TriggerText[] => {
  const columns = dependsOn(table, index).map(quoteSqliteName)
  // A row keeps its place for good where that depends on nothing.
  if (columns.length === 0) return []
  const name = `_tidemark_${capture.id}_replace_update_${n}`
  const event = `BEFORE UPDATE OF ${columns.join(', ')}`
  const when = absentIn(table, index)?.around(rowDiffers(columns)) ?? rowDiffers(columns)
  return [createTrigger(name, event, table.name, when, logHolders(table, capture, index))]
}

const guardRowidUpdates = (table: SqliteTable, capture: CaptureTable): readonly TriggerText[] => {
  const rowids = looseRowids(table, capture)
  if (rowids.length === 0) return []
  const rowid = rowidWord(table.rowidName ?? 'rowid')
  const name = `_tidemark_${capture.id}_replace_update_rowid`
  const when = `OLD.${rowid} <> NEW.${rowid}`
  return [createTrigger(name, `BEFORE UPDATE OF ${rowids.join(', ')}`, table.name, when, logRowidHolder(table, capture))]
}

/** The guards of one table: before an insert, and before updates of what its unique indexes depend on. */
export const replaceGuards = (table: SqliteTable, capture: CaptureTable): readonly TriggerText[] => {
  if (capture.key.kind === 'none') return []
  const indexes = guardedIndexes(table, capture)
  const bodies = indexes.map((index) => logHolders(table, capture, index))
  if (looseRowids(table, capture).length > 0) bodies.push(logRowidHolder(table, capture))
  if (bodies.length === 0) return []
  return [
    createTrigger(`_tidemark_${capture.id}_replace_insert`, 'BEFORE INSERT', table.name, null, bodies.join(' ')),
    ...indexes.flatMap((index, i) => guardUpdates(table, capture, index, i + 1)),
    ...guardRowidUpdates(table, capture),
  ]
}
