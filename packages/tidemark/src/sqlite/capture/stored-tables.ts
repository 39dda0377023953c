/** The captured tables as the file itself keeps them, with what they looked like when they were armed. */
import { createHash } from 'node:crypto'
import { keptStatement } from '../kept-statement.js'
import type { SqliteDatabase, SqliteTable } from '../sqlite.js'
import type { CaptureTable, LogKey } from './capture.js'

export const createTablesSql =
  'CREATE TABLE IF NOT EXISTS _tidemark_tables (id INTEGER PRIMARY KEY, name TEXT, key TEXT, shape TEXT, loose INTEGER)'

export interface StoredTable extends CaptureTable {
  /** Hash of the table's columns and key. */
  readonly shape: string
  /** True where the key is a rowid that VACUUM may change. */
  readonly isLoose: boolean
}

/** Tells a table apart from one with other columns or another key. */
export const shapeOf = ({ columns, primaryKey, withoutRowid, strict, rowidAlias }: SqliteTable): string => {
  const facts = columns.map(({ name, declaredType, notNull, collation, generated }) => [
    name,
    declaredType,
    notNull,
    collation,
    generated && [generated.kind, generated.expression],
  ])
  const shape = JSON.stringify([facts, primaryKey?.columns ?? [], withoutRowid, strict, rowidAlias])
  return createHash('sha256').update(shape).digest('hex').slice(0, 32)
}

const isLooseKey = ({ rowidAlias }: Pick<SqliteTable, 'rowidAlias'>, key: LogKey): boolean =>
  key.kind === 'rowid' && key.name !== rowidAlias

interface Row {
  readonly id: number
  readonly name: string
  readonly key: string
  readonly shape: string
  readonly loose: number
}

export const storedTables = (db: SqliteDatabase): readonly StoredTable[] =>
  keptStatement<[], Row>(db, 'SELECT id, name, key, shape, loose FROM _tidemark_tables ORDER BY id')
    .safeIntegers(false)
    .all()
    .map(({ id, name, key, shape, loose }) => ({ id, name, key: JSON.parse(key) as LogKey, shape, isLoose: loose === 1 }))

export const storeTable = (db: SqliteDatabase, { id, name, key }: CaptureTable, table: SqliteTable): void => {
  db.prepare('INSERT OR REPLACE INTO _tidemark_tables (id, name, key, shape, loose) VALUES (?, ?, ?, ?, ?)').run(
    BigInt(id),
    name,
    JSON.stringify(key),
    shapeOf(table),
    isLooseKey(table, key) ? 1n : 0n,
  )
}
