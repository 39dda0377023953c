import type { Statement } from 'better-sqlite3'
import type { SqliteDatabase } from './sqlite.js'

const kept = new WeakMap<SqliteDatabase, Map<string, Statement>>()

/**
 * A statement that is asked for again and again on one connection, prepared once; SQLite prepares it anew by itself when the schema moves.
 * Not for iterating, and each use says in which form it wants its rows (`raw`, `pluck`, `safeIntegers`): the statement is shared.
 */
export const keptStatement = <Values extends unknown[] = unknown[], Row = unknown>(
  db: SqliteDatabase,
  sql: string,
): Statement<Values, Row> => {
  const statements = kept.get(db) ?? new Map<string, Statement>()
  if (statements.size === 0) kept.set(db, statements)
  const statement = statements.get(sql) ?? db.prepare(sql)
  statements.set(sql, statement)
  return statement as Statement<Values, Row>
}
