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

/** The SELECT of a CREATE VIEW, and the names of its columns where they are written before it. */
export const parseCreateView = (sql: string): { readonly select: string; readonly columns: readonly string[] | null } => {
  const cursor = new TokenCursor(sql)
  enterCreate(cursor)
  const columns = cursor.at('(') ? cursor.nameList() : null
  cursor.expect('AS')
  return { select: cursor.textOf(cursor.position, cursor.tokens.length).replace(/;$/, '').trimEnd(), columns }
}

/** The module of a CREATE VIRTUAL TABLE. */
export const parseVirtualModule = (sql: string): string => {
  const cursor = new TokenCursor(sql)
  enterCreate(cursor)
  cursor.expect('USING')
  return foldAscii(cursor.name())
}
