/**
 * A cutover that was left behind. What the dead process came to, and what becomes of it:
 *
 * | the last thing it did                             | record       | control row        | the application      | whoever comes next |
 * |---------------------------------------------------|--------------|--------------------|----------------------|--------------------|
 * | took the move over, built unique indexes, slot     | following    | open               | writes to SQLite     | puts them back, follows |
 * | noted the cutover                                  | cuttingOver  | open               | writes to SQLite     | undoes             |
 * | fenced the file, drained, compared, ids            | cuttingOver  | cutting            | waits, then writes to SQLite by itself | undoes |
 * | made everything, uncommitted                       | cuttingOver  | cutting            | as above             | undoes             |
 * | sealed the file                                    | cuttingOver  | cut                | nobody writes        | finishes           |
 * | committed                                          | mirroring    | cut                | writes to Postgres   | mirrors            |
 *
 * And of undoing: file opened, slot dropped, constraints waiting again, state: each may be repeated, so a crash in between is undone once more.
 * The control row decides, and nobody else can change it: whoever settles first raises the epoch in the file, in the same transaction in which
 * it is read.
 */
import type pg from 'pg'
import { isTidemarkError, reasonOf } from '../../errors.js'
import type { CaptureDatabase, ControlRow } from '../../sqlite/capture/capture.js'
import { readControl, takeControl } from '../../sqlite/capture/control.js'
import { openAgain } from '../../sqlite/capture/cut.js'
import { crashPoint } from '../live/crash-point.js'
import { captureHold } from '../live/file.js'
import type { HeldRun } from '../live/live-run.js'
import { Pause } from '../live/pause.js'
import { advance } from '../live/record.js'
import { connectMove } from '../live/session.js'
import type { SwitchOptions } from '../live/switch-options.js'
import { putBackWaiting } from '../live/waiting.js'
import { dropMirror, prepareMirror } from '../mirror/prepare-mirror.js'
import { flip } from './flip.js'
import { setSequences } from './sequences.js'

/** The control row as it is from now on: no process that held the file before can change it any more. */
export const takeFile = (file: CaptureDatabase, held: HeldRun): Promise<ControlRow> =>
  file.write((db) => {
    takeControl(db, captureHold(held))
    return readControl(db)!
  })

/** What a cutover prepared is taken away: the slot keeps WAL, and unique indexes would stand in the way of following. */
export const unprepare = async (client: pg.Client, held: HeldRun, options: SwitchOptions): Promise<void> => {
  await dropMirror({ ...options, held })
  await putBackWaiting(client, held)
}

/**
 * Everything as it was before the cutover; the application first. Over a session of its own, since the one before may be what broke. Only for
 * one who knows that the switch was not committed.
 */
export const undoCutover = async (
  file: CaptureDatabase,
  held: HeldRun,
  { signal: _stopped, reason, ...options }: SwitchOptions & { readonly reason: string },
): Promise<HeldRun> => {
  await openAgain(file, captureHold(held))
  crashPoint('cutover.opened')
  const client = await connectMove(options.target)
  try {
    await unprepare(client, held, options)
    crashPoint('cutover.unprepared')
    return await advance(client, held, 'cuttingOver', 'following', { note: reason, slotName: null })
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** How long finishing may take: nobody writes meanwhile, and what is left is a matter of milliseconds once its locks are had. */
const finishMs = 10_000

/** Commits what the dead process had not: the file is sealed, so both sides are the same and stay so. */
const finishCutover = async (
  client: pg.Client,
  file: CaptureDatabase,
  held: HeldRun,
  options: SwitchOptions,
): Promise<HeldRun> => {
  const { signal = new AbortController().signal } = options
  const mirror = await prepareMirror({ ...options, held })
  const pause = new Pause({ kind: 'cutover', path: held.run.path, maxPauseMs: finishMs, signal })
  try {
    await setSequences(client, file, held.run.plan)
    return await flip(client, { ...options, held, mirror, pause, note: 'finished after a crash', seal: async () => {} })
  } finally {
    pause.stop()
  }
}

/**
 * Finishes or undoes a cutover that was left behind, as the table above says. Answers with the record in its new state: `mirroring` or
 * `following`. Where finishing fails for good, the file opens again: Postgres has taken no write yet.
 */
export const settleCutover = async (
  client: pg.Client,
  file: CaptureDatabase,
  held: HeldRun,
  options: SwitchOptions,
): Promise<HeldRun> => {
  const { fence } = await takeFile(file, held)
  const told = (after: HeldRun): HeldRun => {
    options.onEvent?.({ type: 'state', from: 'cuttingOver', to: after.run.state })
    return after
  }
  if (fence !== 'cut') return told(await undoCutover(file, held, { ...options, reason: 'undone after a crash' }))
  try {
    return told(await finishCutover(client, file, held, options))
  } catch (error) {
    if (isTidemarkError(error, 'TM_MOVE_UNDECIDED') || isTidemarkError(error, 'TM_MOVE_FENCED')) throw error
    const reason = `finishing failed, so it was undone: ${reasonOf(error)}`
    return told(await undoCutover(file, held, { ...options, reason }))
  }
}
