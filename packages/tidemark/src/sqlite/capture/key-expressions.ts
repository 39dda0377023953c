import { foldAscii, quoteSqliteName } from '../tokenize.js'
import type { LogKey } from './capture.js'

const rowidWords = ['rowid', '_rowid_', 'oid']

/** The name of a rowid as it is written: its own words bare, so that they never turn into strings, a column's name in quotes. */
export const rowidWord = (name: string): string => (rowidWords.includes(foldAscii(name)) ? name : quoteSqliteName(name))

/** The words by which the rowid of a table with these columns can be named. */
export const rowidWordsFor = (columns: readonly { readonly name: string }[]): readonly string[] => {
  const taken = new Set(columns.map(({ name }) => foldAscii(name)))
  return rowidWords.filter((word) => !taken.has(word))
}

/** The names that make up a key, as they are written behind `NEW.` or by themselves. */
export const keyNames = (key: LogKey): readonly string[] => {
  if (key.kind === 'none') return []
  return key.kind === 'rowid' ? [rowidWord(key.name)] : key.columns.map(quoteSqliteName)
}
