import { enterCreate } from './statement.js'
import { TokenCursor } from './token-cursor.js'

export interface IndexText {
  /** Each part without its COLLATE, ASC and DESC. */
  readonly parts: readonly string[]
  readonly where: string | null
}

const isWord = (cursor: TokenCursor, at: number, ...words: readonly string[]): boolean => {
  const token = cursor.tokens[at]
  return token?.kind === 'word' && words.includes(token.text.toUpperCase())
}

/** True where the tokens are one name, constant, call or group, so that a COLLATE behind them is about all of them. */
const isWhole = (cursor: TokenCursor, from: number, to: number): boolean => {
  const inner = new TokenCursor(cursor.textOf(from, to))
  if (!inner.at('(')) inner.next()
  if (inner.at('(')) inner.parenthesised()
  return inner.done
}

/** Index behind the part's expression, which ends before its COLLATE, ASC or DESC. */
const partEnd = (cursor: TokenCursor, from: number): number => {
  let end = cursor.position
  if (end - from > 1 && isWord(cursor, end - 1, 'ASC', 'DESC')) end--
  while (end - from > 2 && isWord(cursor, end - 2, 'COLLATE') && isWhole(cursor, from, end - 2)) end -= 2
  return end
}

/** What a CREATE INDEX says that the pragmas do not: the text of expressions and of the predicate. */
export const parseCreateIndex = (sql: string): IndexText => {
  const cursor = new TokenCursor(sql)
  enterCreate(cursor)
  cursor.expect('ON')
  cursor.name()
  cursor.expect('(')
  const parts: string[] = []
  do {
    const from = cursor.position
    cursor.skipUntil(',', ')')
    parts.push(cursor.textOf(from, partEnd(cursor, from)))
  } while (cursor.take(','))
  cursor.expect(')')
  if (!cursor.take('WHERE')) return { parts, where: null }
  const from = cursor.position
  cursor.skipUntil(';')
  return { parts, where: cursor.textOf(from, cursor.position) }
}
