/** The application's own triggers, which stand aside while the mirror writes: what they would do, the mirror brings as rows. */
import { reasonOf } from '../../errors.js'
import type { SqliteDatabase } from '../sqlite.js'
import { foldAscii, quoteSqliteName } from '../tokenize.js'
import { type CaptureTable, isCaptureName } from './capture.js'
import { hasTable } from './control.js'

interface AppTrigger {
  readonly name: string
  readonly tbl_name: string
  readonly sql: string
}

const createSql = 'CREATE TABLE IF NOT EXISTS _tidemark_triggers (id INTEGER PRIMARY KEY, name TEXT, tbl_name TEXT, sql TEXT)'

/** Takes the application's triggers off the captured tables and keeps their text. Within a write transaction. */
export const setTriggersAside = (db: SqliteDatabase, captures: readonly CaptureTable[]): void => {
  const captured = new Set(captures.map(({ name }) => foldAscii(name)))
  const triggers = db
    .prepare<[], AppTrigger>(`SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid`)
    .all()
    .filter(({ name, tbl_name }) => !isCaptureName(name) && captured.has(foldAscii(tbl_name)))
  db.exec(createSql)
  for (const { name, tbl_name, sql } of triggers) {
    db.prepare('INSERT INTO _tidemark_triggers (name, tbl_name, sql) VALUES (?, ?, ?)').run(name, tbl_name, sql)
    db.exec(`DROP TRIGGER ${quoteSqliteName(name)}`)
  }
}

export interface LostTrigger {
  readonly name: string
  readonly table: string
  readonly sql: string
  readonly reason: string
}

/** Puts them back in their order; those that cannot be made any more (their table is gone) are named. Within a write transaction. */
export const restoreTriggers = (db: SqliteDatabase): readonly LostTrigger[] => {
  if (!hasTable(db, '_tidemark_triggers')) return []
  const kept = db.prepare<[], AppTrigger>('SELECT name, tbl_name, sql FROM _tidemark_triggers ORDER BY id').all()
  const lost: LostTrigger[] = []
  for (const { name, tbl_name: table, sql } of kept) {
    try {
      db.exec(sql)
    } catch (error) {
      lost.push({ name, table, sql, reason: reasonOf(error) })
    }
  }
  db.exec('DROP TABLE _tidemark_triggers')
  return lost
}
