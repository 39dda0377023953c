/** Text of the application's schema, made fit to stand in a trigger. */
import type { SqliteColumn } from '../sqlite.js'
import { foldAscii, type Token, tokenize } from '../tokenize.js'

const quoteString = (text: string): string => `'${text.replaceAll("'", "''")}'`

const isWord = (token: Token | undefined, ...words: readonly string[]): boolean =>
  token?.kind === 'word' && words.includes(token.text.toUpperCase())

/** True for a name in double quotes that stands where a column would. */
const isColumnPlace = (tokens: readonly Token[], i: number): boolean => {
  const [before, after] = [tokens[i - 1], tokens[i + 1]]
  return before?.text !== '.' && after?.text !== '.' && after?.text !== '(' && !isWord(before, 'COLLATE', 'AS')
}

/** Columns by their bare names: the table may go by another name where the text is put. */
const withoutTable = (tokens: readonly Token[]): readonly Token[] =>
  tokens.filter(({ text }, i) => text !== '.' && tokens[i + 1]?.text !== '.')

/**
 * An expression of an index or a generated column, with bare names of columns. In a schema, SQLite takes "words" in double quotes that name
 * no column for strings; in triggers not every library does, so they are written as the strings they are.
 */
export const plainExpression = (sql: string, columns: readonly Pick<SqliteColumn, 'name'>[]): string => {
  const names = new Set(['rowid', '_rowid_', 'oid', ...columns.map(({ name }) => foldAscii(name))])
  const tokens = tokenize(sql)
  const isString = (token: Token, i: number): boolean =>
    token.kind === 'quoted' && token.text.startsWith('"') && !names.has(foldAscii(token.value)) && isColumnPlace(tokens, i)
  const texts = new Map(tokens.map((token, i) => [token, isString(token, i) ? quoteString(token.value) : token.text]))
  return withoutTable(tokens)
    .map((token) => texts.get(token))
    .join(' ')
}

/** The default of a column as an expression: a bare or double-quoted word is a string there. */
export const plainDefault = (sql: string): string => {
  const [token, ...more] = tokenize(sql)
  const isText = more.length === 0 && (token?.kind === 'word' || token?.kind === 'quoted')
  if (!token || !isText || isWord(token, 'NULL', 'TRUE', 'FALSE', 'CURRENT_TIME', 'CURRENT_DATE', 'CURRENT_TIMESTAMP'))
    return plainExpression(sql, [])
  return quoteString(token.value)
}

/** The columns whose values an expression may depend on: generated ones and those behind them. */
export const columnsIn = (sql: string, columns: readonly SqliteColumn[]): readonly SqliteColumn[] => {
  const found = new Set<string>()
  const visit = (text: string): void => {
    const words = new Set(tokenize(text).map(({ value }) => foldAscii(value)))
    for (const column of columns) {
      if (!words.has(foldAscii(column.name)) || found.has(column.name)) continue
      found.add(column.name)
      if (column.generated) visit(column.generated.expression)
    }
  }
  visit(sql)
  return columns.filter(({ name }) => found.has(name))
}

/** As {@link columnsIn}, only those that are stored by themselves. */
export const columnsBehind = (sql: string, columns: readonly SqliteColumn[]): readonly string[] =>
  columnsIn(sql, columns)
    .filter(({ generated }) => !generated)
    .map(({ name }) => name)
