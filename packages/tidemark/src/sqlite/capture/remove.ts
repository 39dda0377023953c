/** Takes everything of ours out of a file, whichever version of Tidemark put it there. */
import type { SqliteDatabase } from '../sqlite.js'
import { quoteSqliteName } from '../tokenize.js'
import { type LostTrigger, restoreTriggers } from './app-triggers.js'
import { type CaptureDatabase, type CaptureHold, isCaptureName, type WaitOptions } from './capture.js'
import { readStoredControl, takeControl } from './control.js'

const rowsPerStep = 2000

interface Found {
  readonly type: string
  readonly name: string
}

const ownObjects = (db: SqliteDatabase, ...types: readonly string[]): readonly Found[] =>
  db
    .prepare<[], Found>('SELECT type, name FROM sqlite_schema')
    .all()
    .filter(({ type, name }) => isCaptureName(name) && types.includes(type))

/** Removes some rows of a table that is to go: dropping a large one at once would hold the lock for too long. */
const thin = (db: SqliteDatabase, name: string): number => {
  const table = quoteSqliteName(name)
  try {
    return db.prepare(`DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} LIMIT ?)`).run(BigInt(rowsPerStep)).changes
  } catch (error) {
    if (error instanceof Error && /no such column/.test(error.message)) return 0
    throw error
  }
}

const hasKeptTriggers = (db: SqliteDatabase): boolean =>
  db.prepare(`SELECT 1 FROM pragma_table_info('_tidemark_triggers') WHERE name = 'sql'`).get() !== undefined

/** The application is as free as it was before us when this is committed; what follows is only cleaning up. */
const release = (db: SqliteDatabase, hold: CaptureHold | null): readonly LostTrigger[] => {
  if (hold && readStoredControl(db) !== null) takeControl(db, hold)
  for (const { type, name } of ownObjects(db, 'trigger', 'view', 'index')) db.exec(`DROP ${type} ${quoteSqliteName(name)}`)
  return hasKeptTriggers(db) ? restoreTriggers(db) : []
}

export interface RemoveOptions extends WaitOptions {
  /** In whose name; without it, whoever holds the file loses it. */
  readonly hold?: CaptureHold
}

/**
 * Removes the capture without a trace, in transactions of a few milliseconds: first whatever stands in the application's way, then the
 * rest. A file without one stays as it is. Answers which of the application's own triggers could not be made again. Raises TM_MOVE_FENCED,
 * TM_SQLITE_CHANGED, TM_SQLITE_LOCKED.
 */
export const removeCapture = async (file: CaptureDatabase, options: RemoveOptions = {}): Promise<readonly LostTrigger[]> => {
  const lost = await file.write((db) => release(db, options.hold ?? null), options)
  const tables = await file.read((db) => ownObjects(db, 'table').map(({ name }) => name), options)
  // The control row goes last: until then the file still says whose it is.
  const ordered = [...tables].sort((a, b) => Number(a === '_tidemark_control') - Number(b === '_tidemark_control'))
  for (const name of ordered) {
    while ((await file.write((db) => thin(db, name), options)) === rowsPerStep);
    await file.write((db) => db.exec(`DROP TABLE ${quoteSqliteName(name)}`), options)
  }
  return lost
}
