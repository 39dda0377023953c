import { TidemarkError } from '../../errors.js'
import { tableName } from '../../feed/feed.js'
import { isSameEpoch, parsePosition } from '../../feed/position.js'
import { openCaptureDatabase } from '../../sqlite/capture/capture-database.js'
import { readControl, takeControl } from '../../sqlite/capture/control.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import { systemClock } from '../../time/clock.js'
import { createIdMap } from '../invert/id-map.js'
import type { HeldRun } from '../live/live-run.js'
import { Differences } from './differences.js'
import { FileMirror } from './file-mirror.js'
import type { Start } from './file-progress.js'
import type { Mirror, MirrorOptions } from './mirror.js'
import { storedPosition } from './mirror-record.js'
import { MirrorSession } from './mirror-session.js'
import { Narrowed } from './narrowed.js'
import { mirrorSource, publicationName, readMirrorTables } from './prepare-mirror.js'
import { Statements } from './statements.js'
import { TableApplier } from './table-applier.js'
import { checkTarget } from './target-watch.js'

/** Where the mirror goes on: where the file says, unless that is of an earlier cutover. */
const startOf = async (session: MirrorSession, { run }: HeldRun, stored: string | null): Promise<Start> => {
  // Not as it was when this process took the move over: a mirror that had to compare everything begins another history.
  const { rows } = await session.query<{ cut_position: string | null }>(
    'SELECT cut_position FROM tidemark.move_runs WHERE id = $1',
    [run.id],
  )
  const cutPosition = rows[0]?.cut_position ?? null
  if (cutPosition === null) {
    const reason = `${run.path} was not cut over, so there is nothing to mirror.`
    throw new TidemarkError('TM_MOVE_NOT_ALLOWED', { reason, fix: 'See `tidemark move status`.' })
  }
  const cut = parsePosition(cutPosition)
  const mirrored = stored === null ? cut : parsePosition(stored)
  const isStored = isSameEpoch(cut, mirrored) && mirrored.number > cut.number
  const position = isStored ? mirrored : cut
  const known = await storedPosition(session, run.id)
  const isOlder = known !== null && isSameEpoch(known, position) && known.number > position.number
  return { position, isStored, isOlder }
}

/** Printed keys of the rows that were left out of the copy, by table. */
const readLeftOut = async (session: MirrorSession, runId: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> => {
  const { rows } = await session.query<{ table_name: string; row_key: string }>(
    "SELECT DISTINCT table_name, row_key FROM tidemark.move_rejects WHERE run_id = $1 AND outcome = 'rowRejected'",
    [runId],
  )
  const found = new Map<string, Set<string>>()
  for (const { table_name, row_key } of rows) found.set(table_name, (found.get(table_name) ?? new Set()).add(row_key))
  return found
}

/**
 * Opens the mirror of a move that was cut over. Raises TM_MOVE_FENCED, TM_MOVE_NOT_ALLOWED, TM_MOVE_MIRROR_SCHEMA, TM_SQLITE_*, TM_POSTGRES_*.
 */
export const openMirror = async (options: MirrorOptions): Promise<Mirror> => {
  const { held, target, busyTimeoutMs = 2_000, clock = systemClock, onEvent = () => {} } = options
  const signal = options.signal ?? new AbortController().signal
  const file = await openCaptureDatabase(held.run.path, { busyTimeoutMs, clock, signal })
  const session = new MirrorSession(target)
  try {
    const hold = { captureId: held.run.captureId ?? '', epoch: held.epoch }
    const control = await file.write((db) => {
      takeControl(db, hold)
      return readControl(db)
    })
    const start = await startOf(session, held, control?.mirroredPosition ?? null)
    const ids = createIdMap(session)
    const tables = readMirrorTables(held, ids)
    const oids = await checkTarget(session, file.path, tables, publicationName(held))
    const differences = new Differences(session, held.run.id, onEvent)
    await differences.load()
    const narrowed = new Narrowed(session, held.run.id, onEvent)
    const leftOut = await readLeftOut(session, held.run.id)
    const statements = new Statements(file.db)
    const appliers = new Map(
      tables.map((table) => {
        const name = tableName({ schema: table.plan.targetSchema, table: table.plan.target })
        const kept = leftOut.get(table.plan.source) ?? new Set<string>()
        return [name, new TableApplier(file.db, table, statements, { differences, narrowed, leftOut: kept })]
      }),
    )
    const byOid = new Map([...appliers.values()].map((applier, i) => [oids[i]!, applier]))
    const source = options.source ?? mirrorSource(options)
    return new FileMirror({
      options,
      clock,
      signal,
      file,
      source,
      session,
      differences,
      narrowed,
      ids,
      tables,
      appliers,
      byOid,
      statements,
      start,
    })
  } catch (error) {
    await session.close()
    file.close()
    throw sqliteCodeOf(error) === null ? error : toSqliteError(error, held.run.path)
  }
}
