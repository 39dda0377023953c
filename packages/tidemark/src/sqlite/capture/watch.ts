/** Looks whether the application changed its schema in a way that concerns the capture. */

import { introspect } from '../introspect.js'
import { keptStatement } from '../kept-statement.js'
import type { SqliteDatabase, SqliteSchema } from '../sqlite.js'
import { foldAscii } from '../tokenize.js'
import { type FenceState, isCaptureName, type SchemaWatch } from './capture.js'
import { readStoredControl } from './control.js'
import { OwnObjects, placeOf } from './own-objects.js'
import { appSchemaVersion } from './own-schema.js'
import { type StoredTable, shapeOf, storedTables } from './stored-tables.js'

const tableNames = (db: SqliteDatabase): readonly string[] =>
  keptStatement<[], string>(db, `SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0`).pluck().all()

/** True for ordinary tables; virtual ones keep theirs, which are not the application's to write. */
const isOrdinary = (db: SqliteDatabase, name: string): boolean =>
  db.prepare<[string], string>(`SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?`).pluck().get(name) ===
  'table'

const addedTables = (db: SqliteDatabase, names: readonly string[], known: readonly string[]): readonly string[] => {
  const old = new Set(known.map(foldAscii))
  return names.filter(
    (name) => !old.has(foldAscii(name)) && !isCaptureName(name) && !/^sqlite_/i.test(name) && isOrdinary(db, name),
  )
}

interface Look {
  readonly own: OwnObjects
  readonly schema: SqliteSchema
  readonly fence: FenceState
}

/** Without our triggers, or with keys that VACUUM may have changed: any move of the version may be one that it hides behind. */
const isUnarmed = ({ own, schema, fence }: Look, capture: StoredTable): boolean => {
  const place = placeOf(schema, capture)
  return place === undefined || capture.isLoose || !own.isArmed(place, fence)
}

const isReshaped = ({ schema }: Look, capture: StoredTable): boolean => {
  const place = placeOf(schema, capture)
  return place !== undefined && shapeOf(place.table) !== capture.shape
}

/**
 * What became of the captured tables since they were last armed, to be asked in the same read transaction as the log and its rows: if
 * `moved` is false, the entries up to the log's head are all there is. Cheap while nothing happened.
 */
export const watchSchema = (db: SqliteDatabase): SchemaWatch => {
  const control = readStoredControl(db)
  const schemaVersion = appSchemaVersion(db)
  if (control === null || control === 'unknown')
    return { schemaVersion, moved: true, unarmed: [], dropped: [], added: [], reshaped: [] }
  const captures = storedTables(db)
  const names = tableNames(db)
  const present = new Set(names.map(foldAscii))
  const here = captures.filter(({ name }) => present.has(foldAscii(name)))
  const known = [...(JSON.parse(control.known_tables) as string[]), ...captures.map(({ name }) => name)]
  const moved = BigInt(schemaVersion) !== control.app_schema_version
  const look = moved ? { own: new OwnObjects(db), schema: introspect(db), fence: control.fence } : null
  return {
    schemaVersion,
    moved,
    unarmed: look ? here.filter((capture) => isUnarmed(look, capture)).map(({ name }) => name) : [],
    dropped: captures.filter((capture) => !here.includes(capture)).map(({ name }) => name),
    added: addedTables(db, names, known),
    reshaped: look ? here.filter((capture) => isReshaped(look, capture)).map(({ name }) => name) : [],
  }
}
