import { TokenCursor } from './token-cursor.js'
import { foldAscii } from './tokenize.js'

/** Steps over `CREATE … TABLE|VIEW|INDEX|TRIGGER [IF NOT EXISTS] [schema.]name` and gives the name. */
export const enterCreate = (cursor: TokenCursor): string => {
  cursor.expect('CREATE')
  for (const word of ['TEMP', 'TEMPORARY', 'UNIQUE', 'VIRTUAL']) cursor.take(word)
  cursor.next()
  if (cursor.at('IF', 'NOT', 'EXISTS')) cursor.position += 3
  const name = cursor.name()
  return cursor.take('.') ? cursor.name() : name
}

/** The SELECT of a CREATE VIEW. */
export const parseViewSelect = (sql: string): string => {
  const cursor = new TokenCursor(sql)
  enterCreate(cursor)
  if (cursor.at('(')) cursor.nameList()
  cursor.expect('AS')
  return cursor.textOf(cursor.position, cursor.tokens.length).replace(/;$/, '').trimEnd()
}

/** The module of a CREATE VIRTUAL TABLE. */
export const parseVirtualModule = (sql: string): string => {
  const cursor = new TokenCursor(sql)
  enterCreate(cursor)
  cursor.expect('USING')
  return foldAscii(cursor.name())
}
