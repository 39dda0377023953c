/** The way back while Postgres is dead: the file opens as it stands, and says up to where it holds what Postgres took. */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { TidemarkError } from '../../errors.js'
import type { CaptureDatabase, ControlRow } from '../../sqlite/capture/capture.js'
import { openCaptureDatabase } from '../../sqlite/capture/capture-database.js'
import { readControl } from '../../sqlite/capture/control.js'
import { openAgain } from '../../sqlite/capture/cut.js'

export interface WithoutPostgresOptions {
  /** The SQLite file. */
  readonly path: string
  /** How long to wait for a locked file. Default 5,000. */
  readonly busyTimeoutMs?: number
}

export interface WithoutPostgresReport {
  readonly ok: true
  readonly path: string
  readonly runId: string
  /** False where the file took writes already, and nothing was done. */
  readonly opened: boolean
  /** Up to where in the feed the file holds what Postgres took; null where Postgres never took any. */
  readonly position: string | null
  /** When the mirror last wrote to the file, at the latest. What Postgres took after it is in Postgres alone. */
  readonly mirroredAt: string | null
  readonly epoch: string
  readonly lostTriggers: readonly string[]
}

const defaultBusyMs = 5_000

/** The last write to the file, or to the log beside it. Nobody but the mirror writes to a file that is cut. */
const lastWrite = (path: string): string | null => {
  const times = [path, `${path}-wal`].map((each) => statSync(each, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  const latest = Math.max(...times)
  return latest > 0 ? new Date(latest).toISOString() : null
}

const requireCapture = async (file: CaptureDatabase): Promise<ControlRow> => {
  const control = await file.read(readControl)
  if (control) return control
  throw new TidemarkError('TM_MOVE_NOT_ALLOWED', {
    reason: `${file.path} is in no live move, so nothing keeps the application from writing to it.`,
    fix: 'See `tidemark move status` when Postgres is back.',
  })
}

/**
 * Opens the file for the application without asking Postgres. The epoch in the file is raised, so that a mirror that is still alive somewhere
 * writes to it no more; when Postgres is back, the next command on the move refuses writes there and brings the record up to date. Raises
 * TM_SQLITE_*, and TM_MOVE_NOT_ALLOWED where the file is in no live move.
 */
export const rollbackWithoutPostgres = async (options: WithoutPostgresOptions): Promise<WithoutPostgresReport> => {
  const path = resolve(options.path)
  const mirroredAt = lastWrite(path)
  const file = await openCaptureDatabase(path, { busyTimeoutMs: options.busyTimeoutMs ?? defaultBusyMs })
  try {
    const { captureId, runId, epoch, fence, mirroredPosition } = await requireCapture(file)
    const report = {
      ok: true,
      path,
      runId,
      position: mirroredPosition,
      mirroredAt: mirroredPosition === null ? null : mirroredAt,
    } as const
    if (fence === 'open') return { ...report, opened: false, epoch: String(epoch), lostTriggers: [] }
    const raised = epoch + 1n
    const note = `opened without Postgres at ${new Date().toISOString()}, mirrored up to ${mirroredPosition ?? 'the cutover'}`
    const { lostTriggers } = await openAgain(file, { captureId, epoch: raised }, { note })
    return {
      ...report,
      opened: true,
      epoch: String(raised),
      lostTriggers: lostTriggers.map(({ name, reason }) => `${name} (${reason})`),
    }
  } finally {
    file.close()
  }
}
