/** What ending a move has in common, be it for good or for nothing: the decision is noted first, the cleaning up may be repeated. */
import type pg from 'pg'
import { isTidemarkError } from '../../errors.js'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { readControl } from '../../sqlite/capture/control.js'
import { removeCapture } from '../../sqlite/capture/remove.js'
import { openMoveFile } from './file.js'
import type { HeldRun } from './live-run.js'
import type { LiveMoveOptions } from './switch-options.js'

/** True where a command that ended the move did not get to the end of cleaning up. */
export const isUncleaned = async (client: pg.Client, runId: string): Promise<boolean> => {
  const { rows } = await client.query<{ uncleaned: boolean }>(
    `SELECT report -> 'cleanedUp' = 'false' AS uncleaned FROM tidemark.move_runs WHERE id = $1 AND state IN ('finished', 'aborted')`,
    [runId],
  )
  return rows[0]?.uncleaned ?? false
}

export const noteCleaned = async (client: pg.Client, { run, epoch }: HeldRun): Promise<void> => {
  await client.query(
    `UPDATE tidemark.move_runs SET report = report || '{"cleanedUp": true}', slot_name = NULL, updated_at = now() WHERE id = $1 AND epoch = $2`,
    [run.id, epoch],
  )
}

/** The file, or undefined where there is none any more. */
const openIfThere = (options: LiveMoveOptions): Promise<CaptureDatabase | undefined> =>
  openMoveFile(options).catch((error: unknown) => {
    if (isTidemarkError(error, 'TM_SQLITE_NOT_FOUND')) return undefined
    throw error
  })

export interface CleanedFile {
  /** False where there was no file, or no capture of this run in it. */
  readonly cleaned: boolean
  readonly lostTriggers: readonly string[]
}

/** Takes everything of the move out of the file; the capture of another move stays. */
export const cleanFile = async (options: LiveMoveOptions, { run, epoch }: HeldRun): Promise<CleanedFile> => {
  const file = await openIfThere(options)
  if (!file) return { cleaned: false, lostTriggers: [] }
  try {
    const control = await file.read(readControl)
    if (control?.runId !== run.id) return { cleaned: false, lostTriggers: [] }
    const lost = await removeCapture(file, { hold: { captureId: control.captureId, epoch } })
    return { cleaned: true, lostTriggers: lost.map(({ name, reason }) => `${name} (${reason})`) }
  } finally {
    file.close()
  }
}
