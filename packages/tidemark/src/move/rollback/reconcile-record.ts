/** The file was opened while Postgres was dead: now that it is back, it learns of it before anything else is done. */
import type pg from 'pg'
import type { CaptureDatabase, ControlRow } from '../../sqlite/capture/capture.js'
import { takeControl, writeNote } from '../../sqlite/capture/control.js'
import { undoCutover } from '../cutover/settle-cutover.js'
import { captureHold, controlOf } from '../live/file.js'
import type { HeldRun, LiveRun } from '../live/live-run.js'
import { Pause } from '../live/pause.js'
import { advance, letGo, raiseEpochAbove, requireLiveRun } from '../live/record.js'
import type { LiveMoveOptions } from '../live/switch-options.js'
import { fencePostgres } from './fence-postgres.js'
import { endRollback } from './settle-rollback.js'

/** Writers of Postgres write to the wrong store now; how long to wait for the end of their transactions. */
const fenceMs = 30_000

/** True where the file was opened by {@link rollbackWithoutPostgres}, and the record does not know. */
const wasOpened = ({ state }: LiveRun, control: ControlRow | null): boolean =>
  control?.fence === 'open' &&
  control.note !== null &&
  (state === 'mirroring' || state === 'rollingBack' || state === 'cuttingOver')

const fence = async (client: pg.Client, held: HeldRun, signal: AbortSignal): Promise<void> => {
  const pause = new Pause({ kind: 'rollback', path: held.run.path, maxPauseMs: fenceMs, signal })
  try {
    await fencePostgres(client, held, pause)
  } finally {
    pause.stop()
  }
}

/**
 * Brings the record in line with a file that was opened without Postgres: writes to Postgres are refused, and every table is compared as a
 * whole before following counts as being at its head. What Postgres took after the last mirrored position is told apart by that comparison.
 * Answers with the record as it is then. Does nothing where nothing of the kind has happened. Raises TM_MOVE_PAUSE, naming the writers.
 */
export const reconcileRecord = async (
  client: pg.Client,
  file: CaptureDatabase,
  run: LiveRun,
  options: LiveMoveOptions,
): Promise<LiveRun> => {
  const control = await controlOf(file, run)
  if (!wasOpened(run, control)) return run
  const { signal = new AbortController().signal, onEvent = () => {} } = options
  const note = control?.note ?? ''
  const held = await raiseEpochAbove(client, run.id, control?.epoch ?? 0n)
  if (held.run.state === 'cuttingOver') {
    await undoCutover(file, held, { ...options, reason: note })
    await letGo(client, held)
    return requireLiveRun(client, { runId: run.id })
  }
  const rolling = held.run.state === 'mirroring' ? await advance(client, held, 'mirroring', 'rollingBack', { note }) : held
  await fence(client, rolling, signal)
  await client.query('UPDATE tidemark.move_runs SET unsettled = $2 WHERE id = $1 AND epoch = $3', [
    run.id,
    run.plan.tables.map(({ source }) => source),
    rolling.epoch,
  ])
  await endRollback(client, rolling, { note, head: null }, options)
  await file.write((db) => {
    takeControl(db, captureHold(held))
    writeNote(db, null)
  })
  await letGo(client, rolling)
  const kept = 'What Postgres took after that is in Postgres alone: `tidemark move verify` shows it, until following goes on.'
  onEvent({ type: 'notice', message: `The file was ${note}. Postgres refuses writes now. ${kept}` })
  onEvent({ type: 'state', from: run.state, to: 'rolledBack' })
  return requireLiveRun(client, { runId: run.id })
}
