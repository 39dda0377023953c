/** The triggers that log what was inserted, updated and deleted. */
import type { SqliteSchema, SqliteTable } from '../sqlite.js'
import { quoteSqliteName } from '../tokenize.js'
import type { CaptureTable } from './capture.js'
import { isKeyConverted } from './foreign-key-affinity.js'
import { keyNames, rowidWord, rowidWordsFor } from './key-expressions.js'
import { replaceGuards } from './replace-guards.js'
import { hasStandIn, imageName, withImage } from './row-image.js'
import { createTrigger, logRowSql, logRowsSql, rowDiffers, type TriggerText } from './trigger-text.js'

/** What an UPDATE may name to change the key: a rowid goes by several names, an INTEGER PRIMARY KEY among them. */
const keyTargets = (table: SqliteTable, { key }: CaptureTable): readonly string[] => {
  const names = keyNames(key)
  const alias = table.rowidAlias === null ? [] : [quoteSqliteName(table.rowidAlias)]
  const isRowid = key.kind === 'rowid' || alias.some((name) => names.includes(name))
  return isRowid ? [...new Set([...names, ...alias, ...rowidWordsFor(table.columns)])] : names
}

interface Logging {
  readonly when: 'BEFORE' | 'AFTER'
  readonly sql: string
}

/** Logs the key that a row has after an INSERT or UPDATE; where AFTER triggers are told another one, by the row itself, or ahead of it. */
const logNew = (table: SqliteTable, capture: CaptureTable, isConverted: boolean): Logging => {
  if (!isConverted) return { when: 'AFTER', sql: logRowSql(capture, 'NEW') }
  if (table.rowidName !== null) {
    const rowid = rowidWord(table.rowidName)
    return { when: 'AFTER', sql: logRowsSql(capture, quoteSqliteName(table.name), `${rowid} = NEW.${rowid}`) }
  }
  const keys = keyNames(capture.key)
  const isPlain = !table.columns.some((column) => keys.includes(quoteSqliteName(column.name)) && hasStandIn(column))
  const columns = capture.key.kind === 'columns' ? capture.key.columns : []
  const sql = isPlain ? logRowSql(capture, 'NEW') : withImage(table, capture, columns, logRowsSql(capture, imageName(capture)))
  return { when: 'BEFORE', sql }
}

/**
 * Everything that captures one table's writes while the application may write. None of them says what to do on a conflict: nothing in the
 * log can be in conflict.
 */
export const captureTriggers = (
  schema: Pick<SqliteSchema, 'tables'>,
  table: SqliteTable,
  capture: CaptureTable,
): readonly TriggerText[] => {
  const make = (event: string, suffix: string, { when, sql }: Logging, condition: string | null = null) =>
    createTrigger(`_tidemark_${capture.id}_${suffix}`, `${when} ${event}`, table.name, condition, sql)
  const isConverted = isKeyConverted(schema, table, capture.key)
  const after = logNew(table, capture, isConverted)
  const before: Logging = { when: isConverted ? 'BEFORE' : 'AFTER', sql: logRowSql(capture, 'OLD') }
  const names = keyNames(capture.key)
  const rekey = () => make(`UPDATE OF ${keyTargets(table, capture).join(', ')}`, 'rekey', before, rowDiffers(names))
  return [
    make('INSERT', 'insert', after),
    make('UPDATE', 'update', after),
    ...(names.length > 0 ? [rekey()] : []),
    make('DELETE', 'delete', before),
    ...replaceGuards(table, capture),
  ]
}
