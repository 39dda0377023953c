import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import type { ChatStore } from '../chat.js'
import type { Db } from '../repository.js'
import { sqliteSchema } from '../sqlite-schema.js'
import type { Tables } from '../tables.js'

/** A SQLite in memory with the tables of the yarn, and the store that it is. */
export const openMemoryStore = (): { readonly db: Db; readonly store: ChatStore } => {
  const sqlite = new Database(':memory:')
  sqlite.pragma('foreign_keys = ON')
  sqlite.exec(sqliteSchema)
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) })
  return { db, store: { read: (fn) => fn(db), write: (fn) => db.transaction().execute(fn) } }
}
