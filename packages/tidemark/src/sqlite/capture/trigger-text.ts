import { quoteSqliteName } from '../tokenize.js'
import type { CaptureTable } from './capture.js'
import { keyNames } from './key-expressions.js'

/** An object of ours in the schema. */
export interface TriggerText {
  readonly name: string
  readonly sql: string
}

const logColumns = ({ key }: CaptureTable): string => ['t', ...keyNames(key).map((_, i) => `k${i}`)].join(', ')

/** Logs the key of the row that the trigger is about. */
export const logRowSql = (table: CaptureTable, row: 'NEW' | 'OLD'): string => {
  const values = [table.id, ...keyNames(table.key).map((name) => `${row}.${name}`)]
  return `INSERT INTO _tidemark_log (${logColumns(table)}) SELECT ${values.join(', ')};`
}

/** Logs the keys of rows of a table. `from` begins with the table, by that name or by `as`. */
export const logRowsSql = (table: CaptureTable, from: string, where = '1', as = from): string => {
  const values = [table.id, ...keyNames(table.key).map((name) => `${as}.${name}`)]
  return `INSERT INTO _tidemark_log (${logColumns(table)}) SELECT ${values.join(', ')} FROM ${from} WHERE ${where};`
}

export const createTrigger = (name: string, event: string, table: string, when: string | null, body: string): TriggerText => ({
  name,
  sql: `CREATE TRIGGER ${quoteSqliteName(name)} ${event} ON ${quoteSqliteName(table)}${when === null ? '' : ` WHEN ${when}`} BEGIN ${body} END`,
})

/** True where columns of a row change to the byte, even if their collation holds old and new for equal. */
export const rowDiffers = (columns: readonly string[]): string =>
  columns
    .map((name) => `OLD.${name} IS NOT NEW.${name} COLLATE BINARY OR typeof(OLD.${name}) <> typeof(NEW.${name})`)
    .join(' OR ')
