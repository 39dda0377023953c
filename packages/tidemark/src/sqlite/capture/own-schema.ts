/** The schema version with our own steps left out: installing triggers must not look like a change of the application's schema. */
import { keptStatement } from '../kept-statement.js'
import type { SqliteDatabase } from '../sqlite.js'

const schemaVersion = (db: SqliteDatabase): number => Number(keptStatement(db, 'PRAGMA schema_version').pluck().get())

/** By how much our own statements have moved the schema version; 0 where there is no capture, or one of another layout. */
const ownMoves = (db: SqliteDatabase): number => {
  const known = keptStatement(db, `SELECT 1 FROM pragma_table_info('_tidemark_control') WHERE name = 'own_moves'`).pluck().get()
  if (known === undefined) return 0
  const moves = keptStatement<[], number | null>(db, 'SELECT own_moves FROM _tidemark_control')
  return moves.safeIntegers(false).pluck().get() ?? 0
}

/** `PRAGMA schema_version` as it would be without us. To be read within a transaction. */
export const appSchemaVersion = (db: SqliteDatabase): number => schemaVersion(db) - ownMoves(db)

/** Does something to the schema that is not to count, within a write transaction that holds the control row when it ends. */
export const withOwnSchemaChange = <T>(db: SqliteDatabase, change: () => T): T => {
  const before = appSchemaVersion(db)
  const result = change()
  db.prepare('UPDATE _tidemark_control SET own_moves = ?').run(BigInt(schemaVersion(db) - before))
  return result
}
