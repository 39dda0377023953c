/** Puts the capture into a file, and puts it right again where the application changed its schema. */
import { TidemarkError } from '../../errors.js'
import type { SqliteDatabase, SqliteSchema } from '../sqlite.js'
import { writeBySchema } from './by-schema.js'
import type { CaptureDatabase, CaptureHold, CaptureTable, SchemaWatch, WaitOptions } from './capture.js'
import { captureLayout, createControlSql, readControl, readStoredControl, takeControl } from './control.js'
import { logHead } from './log.js'
import { OwnObjects, type Place, placeOf } from './own-objects.js'
import { appSchemaVersion, withOwnSchemaChange } from './own-schema.js'
import { createTablesSql, storedTables, storeTable } from './stored-tables.js'

export interface InstallOptions extends WaitOptions {
  readonly runId: string
  /** Random; kept in the file and in the record of the run. */
  readonly captureId: string
  readonly epoch: bigint
  readonly tables: readonly CaptureTable[]
}

export interface InstalledCapture {
  /** Changes committed from now on have higher numbers: the copy begins behind this point. */
  readonly head: bigint
}

const changed = (db: SqliteDatabase, reason: string): TidemarkError =>
  new TidemarkError('TM_SQLITE_CHANGED', { path: db.name, reason })

const widthOf = ({ key }: CaptureTable): number => (key.kind === 'columns' ? key.columns.length : key.kind === 'rowid' ? 1 : 0)

/** The log, with room for the widest key. Nothing stands on it but its INTEGER PRIMARY KEY, so that no clause of the application can swallow an entry. */
const widenLog = (db: SqliteDatabase, tables: readonly CaptureTable[]): void => {
  const width = Math.max(1, ...tables.map(widthOf))
  const columns = Array.from({ length: width }, (_, i) => `k${i}`)
  db.exec(`CREATE TABLE IF NOT EXISTS _tidemark_log (seq INTEGER PRIMARY KEY, t, ${columns.join(', ')})`)
  const present = new Set(db.prepare<[], string>(`SELECT name FROM pragma_table_info('_tidemark_log')`).pluck().all())
  for (const name of columns) if (!present.has(name)) db.exec(`ALTER TABLE _tidemark_log ADD COLUMN ${name}`)
}

/** The table of a capture. Raises TM_SQLITE_CHANGED where it, or a column of its key, is not there. */
const requirePlace = (db: SqliteDatabase, schema: SqliteSchema, capture: CaptureTable): Place => {
  const { name, key } = capture
  const place = placeOf(schema, capture)
  if (!place) throw changed(db, `it has no table ${name} any more`)
  const missing =
    key.kind === 'columns' && key.columns.find((column) => !place.table.columns.some((found) => found.name === column))
  if (missing) throw changed(db, `the table ${name} has no column ${missing} any more`)
  return place
}

const captureTables = (db: SqliteDatabase, schema: SqliteSchema, tables: readonly CaptureTable[]): void => {
  widenLog(db, tables)
  const own = new OwnObjects(db)
  for (const capture of tables) {
    const place = requirePlace(db, schema, capture)
    own.capture(place)
    storeTable(db, capture, place.table)
  }
}

const fenceTables = (db: SqliteDatabase, tables: readonly CaptureTable[]): void => {
  const own = new OwnObjects(db)
  for (const capture of tables) own.refuse(capture)
}

const requireOpen = (db: SqliteDatabase): void => {
  if (readControl(db)?.fence !== 'cut') return
  throw new TidemarkError('TM_MOVE_NOT_ALLOWED', {
    reason: `${db.name} has been cut over: it is not to be captured now.`,
    fix: 'See `tidemark move status`.',
  })
}

/** Takes note of the schema as it stands: what is armed belongs to it. */
const noteSchema = (db: SqliteDatabase): void => {
  db.prepare('UPDATE _tidemark_control SET app_schema_version = ?').run(BigInt(appSchemaVersion(db)))
}

/** Raises TM_MOVE_CAPTURED where the file belongs to another run, TM_MOVE_FENCED where this run is held by another process. */
const claim = (db: SqliteDatabase, { runId, captureId, epoch }: InstallOptions): void => {
  const found = readStoredControl(db)
  if (found === 'unknown')
    throw new TidemarkError('TM_MOVE_CAPTURED', { path: db.name, run: 'one that another version of Tidemark began' })
  if (found && found.run_id !== runId) throw new TidemarkError('TM_MOVE_CAPTURED', { path: db.name, run: `run ${found.run_id}` })
  if (found) {
    takeControl(db, { captureId: found.capture_id, epoch })
    db.prepare('UPDATE _tidemark_control SET capture_id = ?').run(captureId)
    return
  }
  db.exec(createControlSql)
  db.prepare(
    `INSERT INTO _tidemark_control (id, layout, capture_id, run_id, epoch, fence, mirroring, own_moves, known_tables)
     VALUES (1, ?, ?, ?, ?, 'open', 0, 0, '[]')`,
  ).run(BigInt(captureLayout), captureId, runId, epoch - 1n)
  takeControl(db, { captureId, epoch })
}

const forgetOthers = (db: SqliteDatabase, tables: readonly CaptureTable[]): void => {
  const kept = new Set(tables.map(({ id }) => id))
  const own = new OwnObjects(db)
  for (const { id } of storedTables(db)) {
    if (kept.has(id)) continue
    own.clear({ id })
    db.prepare('DELETE FROM _tidemark_tables WHERE id = ?').run(BigInt(id))
  }
}

/** Tables that are left out on purpose are no news later. */
const noteUncaptured = (db: SqliteDatabase, schema: SqliteSchema): void => {
  const names = JSON.stringify(schema.tables.map(({ name }) => name))
  db.prepare('UPDATE _tidemark_control SET known_tables = ?').run(names)
}

/**
 * Installs the capture: in one transaction where the tables are few, else in several, of which only the last makes the file a captured one.
 * Over an earlier capture of the same run it puts right what is missing and leaves the log as it is. Raises TM_MOVE_CAPTURED,
 * TM_MOVE_FENCED, TM_MOVE_NOT_ALLOWED where the file is cut, TM_SQLITE_CHANGED, TM_SQLITE_BUSY_SCHEMA, TM_SQLITE_LOCKED.
 */
export const installCapture = (file: CaptureDatabase, options: InstallOptions): Promise<InstalledCapture> => {
  const install = (db: SqliteDatabase, schema: SqliteSchema, tables: readonly CaptureTable[]): void =>
    withOwnSchemaChange(db, () => {
      claim(db, options)
      requireOpen(db)
      db.exec(createTablesSql)
      captureTables(db, schema, tables)
    })
  const finish = (db: SqliteDatabase, schema: SqliteSchema, tables: readonly CaptureTable[]): InstalledCapture => {
    install(db, schema, tables)
    withOwnSchemaChange(db, () => forgetOthers(db, tables))
    noteUncaptured(db, schema)
    noteSchema(db)
    return { head: logHead(db) }
  }
  return writeBySchema(file, { tables: () => options.tables, each: install, finish }, options)
}

export interface RearmOptions extends WaitOptions {
  /** What was seen. */
  readonly watch: SchemaWatch
  /** The tables to be armed as they are now; those that came new under numbers of their own. None: only to take note of the schema. */
  readonly tables: readonly CaptureTable[]
}

/**
 * Arms tables again whose triggers went or whose shape changed, and takes note of the schema. False, with nothing noted, where the schema has
 * moved on since it was looked at: look again. The rows of these tables are to be read whole, after this.
 */
export const rearm = (file: CaptureDatabase, hold: CaptureHold, { watch, tables, ...wait }: RearmOptions): Promise<boolean> => {
  const each = (db: SqliteDatabase, schema: SqliteSchema, some: readonly CaptureTable[]): void => {
    const { fence } = takeControl(db, hold)
    if (appSchemaVersion(db) !== watch.schemaVersion) return
    withOwnSchemaChange(db, () => {
      if (fence !== 'cut') captureTables(db, schema, some)
      if (fence !== 'open') fenceTables(db, some)
    })
  }
  const finish = (db: SqliteDatabase, schema: SqliteSchema, all: readonly CaptureTable[]): boolean => {
    each(db, schema, all)
    if (appSchemaVersion(db) !== watch.schemaVersion) return false
    // What became of tables while nobody captures them, is to be told once more when the file is opened again.
    if (readControl(db)?.fence !== 'cut') noteSchema(db)
    return true
  }
  return writeBySchema(file, { tables: () => tables, each, finish }, wait)
}
