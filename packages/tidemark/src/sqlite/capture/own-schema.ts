/** The schema version with our own steps left out: installing triggers must not look like a change of the application's schema. */
import type { SqliteDatabase } from '../sqlite.js'

const schemaVersion = (db: SqliteDatabase): number => Number(db.pragma('schema_version', { simple: true }))

/** By how much our own statements have moved the schema version; 0 where there is no capture, or one of another layout. */
const ownMoves = (db: SqliteDatabase): number => {
  const known = db.prepare(`SELECT 1 FROM pragma_table_info('_tidemark_control') WHERE name = 'own_moves'`).pluck().get()
  if (known === undefined) return 0
  const moves = db.prepare<[], number | null>('SELECT own_moves FROM _tidemark_control').safeIntegers(false).pluck().get()
  return moves ?? 0
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
