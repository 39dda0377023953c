/** Writes that depend on the whole schema, in transactions that stay short however large it is. */
import { TidemarkError } from '../../errors.js'
import { introspect } from '../introspect.js'
import type { SqliteDatabase, SqliteSchema } from '../sqlite.js'
import { foldAscii } from '../tokenize.js'
import type { CaptureDatabase, CaptureTable, WaitOptions } from './capture.js'
import { appSchemaVersion } from './own-schema.js'

/** Tables done in one transaction: some eighty statements on the schema. */
const tablesPerStep = 12

const indexTable = (db: SqliteDatabase, index: string): string | null =>
  db.prepare<[string], string>(`SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?`).pluck().get(index) ?? null

/** The schema, with everything understood that the capture of these tables depends on. Raises TM_SQLITE_BUSY_SCHEMA. */
const understandSchema = (db: SqliteDatabase, captures: readonly CaptureTable[]): SqliteSchema => {
  const schema = introspect(db)
  const names = new Set(captures.map(({ name }) => foldAscii(name)))
  for (const { type, name, reason } of schema.unreadable) {
    const table = type === 'index' ? indexTable(db, name) : type === 'table' ? name : null
    if (table !== null && names.has(foldAscii(table)))
      throw new TidemarkError('TM_SQLITE_BUSY_SCHEMA', { path: db.name, object: name, reason })
  }
  return schema
}

const stepsOf = (tables: readonly CaptureTable[]): readonly (readonly CaptureTable[])[] =>
  Array.from({ length: Math.ceil(tables.length / tablesPerStep) }, (_, i) =>
    tables.slice(i * tablesPerStep, (i + 1) * tablesPerStep),
  )

/**
 * Goes through tables in several write transactions; false as soon as one of them answers so. Each has to be worth something by itself:
 * another process may come in between, or this one die. Few tables are left to be done with the rest at once.
 */
export const inSteps = async (
  file: CaptureDatabase,
  tables: readonly CaptureTable[],
  step: (db: SqliteDatabase, tables: readonly CaptureTable[]) => boolean,
  options: WaitOptions,
): Promise<boolean> => {
  if (tables.length <= tablesPerStep) return true
  for (const some of stepsOf(tables)) if (!(await file.write((db) => step(db, some), options))) return false
  return true
}

export interface SchemaWork<T> {
  tables(db: SqliteDatabase): readonly CaptureTable[]
  /** What is done for some of the tables at a time, ahead of the rest. */
  each(db: SqliteDatabase, schema: SqliteSchema, tables: readonly CaptureTable[]): void
  /** What is done at the end, in one transaction. */
  finish(db: SqliteDatabase, schema: SqliteSchema, tables: readonly CaptureTable[]): T
}

/**
 * Does something by a schema that was read before: reading it takes longer than a lock may be held. Where the application's schema moves in
 * between, all is done again.
 */
export const writeBySchema = async <T>(file: CaptureDatabase, work: SchemaWork<T>, options: WaitOptions = {}): Promise<T> => {
  for (;;) {
    options.signal?.throwIfAborted()
    const { schema, tables } = await file.read((db) => {
      const tables = work.tables(db)
      return { tables, schema: understandSchema(db, tables) }
    }, options)
    const isSame = (db: SqliteDatabase) => appSchemaVersion(db) === schema.schemaVersion
    const step = (db: SqliteDatabase, some: readonly CaptureTable[]) => {
      if (!isSame(db)) return false
      work.each(db, schema, some)
      return true
    }
    if (!(await inSteps(file, tables, step, options))) continue
    const done = await file.write((db) => (isSame(db) ? { result: work.finish(db, schema, tables) } : null), options)
    if (done) return done.result
  }
}
