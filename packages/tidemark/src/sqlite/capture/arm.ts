/** Puts our objects on the captured tables, and tells which of them stand as they should. */
import { TidemarkError } from '../../errors.js'
import { introspect } from '../introspect.js'
import type { SqliteDatabase, SqliteSchema, SqliteTable } from '../sqlite.js'
import { foldAscii, quoteSqliteName } from '../tokenize.js'
import type { CaptureDatabase, CaptureTable, FenceState, WaitOptions } from './capture.js'
import { captureTriggers } from './capture-triggers.js'
import { hasTable } from './control.js'
import { fenceTriggers } from './fence-triggers.js'
import { imageTable } from './row-image.js'
import type { TriggerText } from './trigger-text.js'

const findTable = (schema: SqliteSchema, name: string): SqliteTable | undefined =>
  schema.tables.find((table) => foldAscii(table.name) === foldAscii(name))

/** A captured table as the schema has it now. */
export interface Place {
  readonly schema: SqliteSchema
  readonly table: SqliteTable
  readonly capture: CaptureTable
}

/** Where a captured table stands; undefined where it does not any more. */
export const placeOf = (schema: SqliteSchema, capture: CaptureTable): Place | undefined => {
  const table = findTable(schema, capture.name)
  return table && { schema, table, capture }
}

const captureObjects = ({ schema, table, capture }: Place): readonly TriggerText[] => {
  const triggers = captureTriggers(schema, table, capture)
  const image = imageTable(table, capture, triggers)
  return image ? [image, ...triggers] : triggers
}

/** While nobody may write there is nothing to capture, and the mirror writes the faster for it. */
const objectsOf = (place: Place, fence: FenceState): readonly TriggerText[] => [
  ...(fence === 'cut' ? [] : captureObjects(place)),
  ...(fence === 'open' ? [] : fenceTriggers(place.capture)),
]

interface SchemaRow {
  readonly type: string
  readonly name: string
  readonly tbl_name: string
  readonly sql: string
}

const ownRows = (db: SqliteDatabase, { id }: Pick<CaptureTable, 'id'>): readonly SchemaRow[] =>
  db
    .prepare<[string, string], SchemaRow>(
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name GLOB ? OR name = ? ORDER BY name`,
    )
    .all(`_tidemark_${id}_*`, `_tidemark_image_${id}`)

/** True where exactly our objects stand, in our words, on this very table. */
export const isArmed = (db: SqliteDatabase, place: Place, fence: FenceState): boolean => {
  const wanted = objectsOf(place, fence)
  const found = ownRows(db, place.capture)
  const stands = ({ name, sql }: TriggerText): boolean =>
    found.some((row) => row.name === name && row.sql === sql && (row.type === 'table' || row.tbl_name === place.table.name))
  return found.length === wanted.length && wanted.every(stands)
}

const drop = (db: SqliteDatabase, rows: readonly SchemaRow[]): void => {
  for (const { type, name } of rows) db.exec(`DROP ${type === 'table' ? 'TABLE' : 'TRIGGER'} ${quoteSqliteName(name)}`)
}

/** Takes all of our objects off a table. Within a write transaction, as everything below. */
export const disarm = (db: SqliteDatabase, capture: Pick<CaptureTable, 'id'>): void => drop(db, ownRows(db, capture))

/** Leaves only the fence. */
export const stopCapture = (db: SqliteDatabase, capture: CaptureTable): void => {
  const fence = new Set(fenceTriggers(capture).map(({ name }) => name))
  drop(
    db,
    ownRows(db, capture).filter(({ name }) => !fence.has(name)),
  )
}

/** Leaves those of our objects on the table that this state of the fence asks for. */
export const arm = (db: SqliteDatabase, place: Place, fence: FenceState): void => {
  if (isArmed(db, place, fence)) return
  disarm(db, place.capture)
  for (const { sql } of objectsOf(place, fence)) db.exec(sql)
}

/** Puts the fence up around all tables that are there. */
export const raiseFence = (db: SqliteDatabase, captures: readonly CaptureTable[]): void => {
  for (const capture of captures) {
    if (!hasTable(db, capture.name)) continue
    const triggers = fenceTriggers(capture)
    const standing = new Set(ownRows(db, capture).map(({ name }) => name))
    for (const { name, sql } of triggers) if (!standing.has(name)) db.exec(sql)
  }
}

const indexTable = (db: SqliteDatabase, index: string): string | null =>
  db.prepare<[string], string>(`SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?`).pluck().get(index) ?? null

/** The schema, with everything understood that the capture of these tables depends on. Raises TM_SQLITE_BUSY_SCHEMA. */
export const understandSchema = (db: SqliteDatabase, captures: readonly Pick<CaptureTable, 'name'>[]): SqliteSchema => {
  const schema = introspect(db)
  const names = new Set(captures.map(({ name }) => foldAscii(name)))
  for (const { type, name, reason } of schema.unreadable) {
    const table = type === 'index' ? indexTable(db, name) : type === 'table' ? name : null
    if (table !== null && names.has(foldAscii(table)))
      throw new TidemarkError('TM_SQLITE_BUSY_SCHEMA', { path: db.name, object: name, reason })
  }
  return schema
}

/**
 * One write transaction by a schema that was read before it: reading it takes longer than a lock may be held. Where the schema moved in
 * between, both are done again.
 */
export const writeBySchema = async <T>(
  file: CaptureDatabase,
  tablesOf: (db: SqliteDatabase) => readonly Pick<CaptureTable, 'name'>[],
  work: (db: SqliteDatabase, schema: SqliteSchema) => T,
  options: WaitOptions = {},
): Promise<T> => {
  const version = (db: SqliteDatabase) => db.pragma('schema_version', { simple: true })
  for (;;) {
    options.signal?.throwIfAborted()
    const read = await file.read((db) => ({ version: version(db), schema: understandSchema(db, tablesOf(db)) }), options)
    const done = await file.write((db) => (version(db) === read.version ? { result: work(db, read.schema) } : null), options)
    if (done) return done.result
  }
}
