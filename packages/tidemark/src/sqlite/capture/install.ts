/** Puts the capture into a file, and puts it right again where the application changed its schema. */
import { TidemarkError } from '../../errors.js'
import type { SqliteDatabase, SqliteSchema } from '../sqlite.js'
import { arm, disarm, type Place, placeOf, writeBySchema } from './arm.js'
import type { CaptureDatabase, CaptureHold, CaptureTable, FenceState, SchemaWatch, WaitOptions } from './capture.js'
import { captureLayout, createControlSql, readStoredControl, takeControl } from './control.js'
import { logHead } from './log.js'
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

const armTables = (db: SqliteDatabase, schema: SqliteSchema, tables: readonly CaptureTable[], fence: FenceState): void => {
  widenLog(db, tables)
  for (const capture of tables) {
    const place = requirePlace(db, schema, capture)
    arm(db, place, fence)
    storeTable(db, capture, place.table)
  }
}

/** Takes note of the schema as it stands: what is armed belongs to it. */
export const noteSchema = (db: SqliteDatabase): void => {
  db.prepare('UPDATE _tidemark_control SET app_schema_version = ?').run(BigInt(appSchemaVersion(db)))
}

/** Raises TM_MOVE_CAPTURED where the file belongs to another run, TM_MOVE_FENCED where this run is held by another process. */
const claim = (db: SqliteDatabase, { runId, captureId, epoch }: InstallOptions): FenceState => {
  const found = readStoredControl(db)
  if (found === 'unknown')
    throw new TidemarkError('TM_MOVE_CAPTURED', { path: db.name, run: 'one that another version of Tidemark began' })
  if (found && found.run_id !== runId) throw new TidemarkError('TM_MOVE_CAPTURED', { path: db.name, run: `run ${found.run_id}` })
  if (found) {
    takeControl(db, { captureId: found.capture_id, epoch })
    db.prepare('UPDATE _tidemark_control SET capture_id = ?').run(captureId)
    return found.fence
  }
  db.exec(createControlSql)
  db.prepare(
    `INSERT INTO _tidemark_control (id, layout, capture_id, run_id, epoch, fence, mirroring, own_moves)
     VALUES (1, ?, ?, ?, ?, 'open', 0, 0)`,
  ).run(BigInt(captureLayout), captureId, runId, epoch - 1n)
  takeControl(db, { captureId, epoch })
  return 'open'
}

const forgetOthers = (db: SqliteDatabase, tables: readonly CaptureTable[]): void => {
  const kept = new Set(tables.map(({ id }) => id))
  for (const { id } of storedTables(db)) {
    if (kept.has(id)) continue
    disarm(db, { id })
    db.prepare('DELETE FROM _tidemark_tables WHERE id = ?').run(id)
  }
}

/** Tables that are left out on purpose are no news later. */
const noteUncaptured = (db: SqliteDatabase, schema: SqliteSchema): void => {
  const names = JSON.stringify(schema.tables.map(({ name }) => name))
  db.prepare('UPDATE _tidemark_control SET known_tables = ?').run(names)
}

/**
 * Installs the capture, in one transaction. Over an earlier capture of the same run it puts right what is missing and leaves the log as it
 * is. Raises TM_MOVE_CAPTURED, TM_MOVE_FENCED, TM_SQLITE_CHANGED, TM_SQLITE_BUSY_SCHEMA, TM_SQLITE_LOCKED.
 */
export const installCapture = (file: CaptureDatabase, options: InstallOptions): Promise<InstalledCapture> => {
  const install = (db: SqliteDatabase, schema: SqliteSchema): InstalledCapture => {
    const fence = claim(db, options)
    db.exec(createTablesSql)
    forgetOthers(db, options.tables)
    armTables(db, schema, options.tables, fence)
    noteUncaptured(db, schema)
    return { head: logHead(db) }
  }
  const work = (db: SqliteDatabase, schema: SqliteSchema): InstalledCapture => {
    const installed = withOwnSchemaChange(db, () => install(db, schema))
    noteSchema(db)
    return installed
  }
  return writeBySchema(file, () => options.tables, work, options)
}

export interface RearmOptions extends WaitOptions {
  /** What was seen. */
  readonly watch: SchemaWatch
  /** The tables to be armed as they are now; those that came new under numbers of their own. None: only to take note of the schema. */
  readonly tables: readonly CaptureTable[]
}

/**
 * Arms tables again whose triggers went or whose shape changed, and takes note of the schema. False, with nothing done, where the schema has
 * moved on since it was looked at: look again. The rows of these tables are to be read whole, after this.
 */
export const rearm = (file: CaptureDatabase, hold: CaptureHold, { watch, tables, ...wait }: RearmOptions): Promise<boolean> => {
  const work = (db: SqliteDatabase, schema: SqliteSchema): boolean => {
    const { fence } = takeControl(db, hold)
    if (appSchemaVersion(db) !== watch.schemaVersion) return false
    withOwnSchemaChange(db, () => armTables(db, schema, tables, fence))
    noteSchema(db)
    return true
  }
  return writeBySchema(file, () => tables, work, wait)
}
