/** The control row: whose capture this is, who may write, and how far the mirror has come. */
import { hostname } from 'node:os'
import { TidemarkError } from '../../errors.js'
import { keptStatement } from '../kept-statement.js'
import type { SqliteDatabase } from '../sqlite.js'
import type { CaptureHold, ControlRow, FenceState } from './capture.js'

/** Raised when the tables below change their columns. */
export const captureLayout = 2

const controlColumns = [
  'id INTEGER PRIMARY KEY',
  'layout INTEGER',
  'capture_id TEXT',
  'run_id TEXT',
  'epoch INTEGER',
  'holder_pid INTEGER',
  'holder_host TEXT',
  'fence TEXT',
  'cutting_until INTEGER',
  'mirroring INTEGER',
  'mirrored_position TEXT',
  'note TEXT',
  'app_schema_version INTEGER',
  'own_moves INTEGER',
  'known_tables TEXT',
  'mark TEXT',
]

export const createControlSql = `CREATE TABLE IF NOT EXISTS _tidemark_control (${controlColumns.join(', ')})`

/** Milliseconds since 1970 by SQLite's own clock, in words that SQLite 3.8 knows. */
export const nowMsSql = `CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)`

interface StoredControl {
  readonly layout: bigint
  readonly capture_id: string
  readonly run_id: string
  readonly epoch: bigint
  readonly holder_pid: bigint
  readonly holder_host: string
  readonly fence: FenceState
  readonly cutting_until: bigint | null
  readonly mirrored_position: string | null
  readonly note: string | null
  readonly app_schema_version: bigint
  readonly known_tables: string
}

export const hasTable = (db: SqliteDatabase, name: string): boolean =>
  keptStatement(db, `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE`).get(name) !== undefined

/** The row as it stands; null where there is none, `unknown` where another version of Tidemark wrote it. */
export const readStoredControl = (db: SqliteDatabase): StoredControl | 'unknown' | null => {
  if (!hasTable(db, '_tidemark_control')) return null
  let row: StoredControl | undefined
  try {
    const sql = `SELECT layout, capture_id, run_id, epoch, holder_pid, holder_host, fence, cutting_until, mirrored_position, note,
      app_schema_version, known_tables FROM _tidemark_control`
    row = keptStatement<[], StoredControl>(db, sql).safeIntegers(true).get()
  } catch (error) {
    if (error instanceof Error && /no such column/.test(error.message)) return 'unknown'
    throw error
  }
  if (!row) return null
  return row.layout === BigInt(captureLayout) ? row : 'unknown'
}

/** What the file says about its capture; null where it has none. */
export const readControl = (db: SqliteDatabase): ControlRow | null => {
  const row = readStoredControl(db)
  if (row === null || row === 'unknown') return null
  return {
    captureId: row.capture_id,
    runId: row.run_id,
    epoch: row.epoch,
    fence: row.fence,
    cuttingUntil: row.cutting_until === null ? null : Number(row.cutting_until),
    mirroredPosition: row.mirrored_position,
    note: row.note,
  }
}

const changed = (db: SqliteDatabase, reason: string): TidemarkError =>
  new TidemarkError('TM_SQLITE_CHANGED', { path: db.name, reason })

/** Raises TM_SQLITE_CHANGED where the file is not the captured one (any more). */
export const requireControl = (db: SqliteDatabase, captureId: string): StoredControl => {
  const row = readStoredControl(db)
  if (row === null) throw changed(db, 'the capture that was put into it is gone, so it was restored or replaced')
  if (row === 'unknown') throw changed(db, 'another version of Tidemark has captured it')
  if (row.capture_id !== captureId) throw changed(db, 'it carries another capture, so it was restored or captured again')
  return row
}

const takeSql = `UPDATE _tidemark_control SET epoch = ?, holder_pid = ?, holder_host = ?
  WHERE epoch < ? OR (epoch = ? AND NOT (holder_pid IS ? AND holder_host IS ?))`

/**
 * Within a write transaction: that it commits only in the name of this hold or of none before it. Raises TM_MOVE_FENCED where the file was
 * taken over under a higher epoch, TM_SQLITE_CHANGED where it is not the captured one.
 */
export const takeControl = (db: SqliteDatabase, { captureId, epoch }: CaptureHold): StoredControl => {
  const row = requireControl(db, captureId)
  if (row.epoch > epoch) {
    const { holder_pid: pid, holder_host: host } = row
    throw new TidemarkError('TM_MOVE_FENCED', { path: db.name, epoch: String(epoch), pid: String(pid), host })
  }
  db.prepare(takeSql).run(epoch, process.pid, hostname(), epoch, epoch, process.pid, hostname())
  return row
}

/**
 * First statement of the mirror within its own write transaction: the fence stands aside for what follows, until {@link endMirrorWrite} in
 * the same transaction. Nobody else ever sees it aside. Raises TM_MOVE_FENCED, TM_SQLITE_CHANGED, and TM_MOVE_NOT_ALLOWED where the file
 * is not cut.
 */
export const beginMirrorWrite = (db: SqliteDatabase, hold: CaptureHold): void => {
  const { fence } = takeControl(db, hold)
  if (fence !== 'cut')
    throw new TidemarkError('TM_MOVE_NOT_ALLOWED', {
      reason: `${db.name} takes the application's writes, so nothing may be mirrored into it.`,
      fix: 'See `tidemark move status`.',
    })
  db.prepare('UPDATE _tidemark_control SET mirroring = 1').run()
}

/** Last statement of the mirror's transaction: how far it has come becomes durable together with the rows. */
export const endMirrorWrite = (db: SqliteDatabase, mirroredPosition: string): void => {
  db.prepare('UPDATE _tidemark_control SET mirroring = 0, mirrored_position = ?').run(mirroredPosition)
}

/** What tells the file from older copies of it; null where it was not marked yet. Within a transaction of a captured file. */
export const readMark = (db: SqliteDatabase): string | null =>
  keptStatement<[], string | null>(db, 'SELECT mark FROM _tidemark_control').pluck().get() ?? null

/** Marks the file, in the caller's write transaction. Raises TM_MOVE_FENCED, TM_SQLITE_CHANGED. */
export const writeMark = (db: SqliteDatabase, hold: CaptureHold, mark: string): void => {
  takeControl(db, hold)
  db.prepare('UPDATE _tidemark_control SET mark = ?').run(mark)
}

/** Notes why the file was opened again, in the caller's write transaction. */
export const writeNote = (db: SqliteDatabase, note: string | null): void => {
  db.prepare('UPDATE _tidemark_control SET note = ?').run(note)
}
