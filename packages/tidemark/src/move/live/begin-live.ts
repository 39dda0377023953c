/** The way to following: the copy of a plan with the capture in the file before the first row is read, or an ordinary copy made live. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { readControl } from '../../sqlite/capture/control.js'
import { installCapture } from '../../sqlite/capture/install.js'
import { type CopyOptions, copyMove } from '../copy/copy.js'
import { forgetMarks } from '../follow/file-mark.js'
import { makeLive } from '../follow/prepare-live.js'
import { captureTablesOf } from '../log-key.js'
import type { CopyReport, MovePlan } from '../move.js'
import { openMoveFile } from './file.js'
import { type Holding, holdMove } from './holding.js'
import type { HeldRun } from './live-run.js'
import { advance, assertHeld } from './record.js'
import { connectMove } from './session.js'
import type { LiveMoveOptions } from './switch-options.js'

export interface BeginOptions extends LiveMoveOptions, Pick<CopyOptions, 'onExisting' | 'workers' | 'transactionBytes'> {
  /** Called when the run is on record: from then on it is this one that is gone on with. */
  readonly onBegun?: (runId: string) => void
}

/** The record learns of the capture before the file does: whoever finds it without one installs it under the same name. */
const nameCapture = async (client: pg.Client, held: HeldRun): Promise<HeldRun> => {
  const captureId = held.run.captureId ?? randomUUID()
  await assertHeld(client, held)
  await client.query('UPDATE tidemark.move_runs SET capture_id = $2 WHERE id = $1 AND epoch = $3', [
    held.run.id,
    captureId,
    held.epoch,
  ])
  return { run: { ...held.run, captureId }, epoch: held.epoch }
}

/** Every table is to be compared as a whole: nobody knows what changed while nothing was captured. */
const unsettleAll = async (client: pg.Client, { run, epoch }: HeldRun): Promise<void> => {
  const tables = run.plan.tables.map(({ source }) => source)
  await client.query('UPDATE tidemark.move_runs SET unsettled = $2 WHERE id = $1 AND epoch = $3', [run.id, tables, epoch])
  await forgetMarks(client, { run, epoch })
}

/** Puts the capture into the file, or puts right what is missing of it. */
export const captureFile = async (
  client: pg.Client,
  file: CaptureDatabase,
  held: HeldRun,
  { resumed }: { readonly resumed: boolean },
): Promise<HeldRun> => {
  const named = await nameCapture(client, held)
  const { run, epoch } = named
  const control = await file.read(readControl)
  if (resumed && control === null) await unsettleAll(client, named)
  await installCapture(file, {
    runId: run.id,
    captureId: run.captureId!,
    epoch,
    tables: captureTablesOf(run.plan),
    // A long read may stand in the way for a while; beginning is not urgent.
    timeoutMs: 30_000,
  })
  return named
}

export interface Copied {
  readonly report: CopyReport
  readonly holding: Holding
}

/** Copies a live plan, or goes on with its copy, with the capture in place before the first row is read. */
export const copyLive = async (plan: MovePlan, options: BeginOptions): Promise<Copied> => {
  const { target, onExisting, workers, transactionBytes, onEvent, signal } = options
  const client = await connectMove(target)
  let holding: Holding | undefined
  try {
    const report = await copyMove(plan, {
      target,
      live: true,
      ...(onExisting && { onExisting }),
      ...(workers !== undefined && { workers }),
      ...(transactionBytes !== undefined && { transactionBytes }),
      ...(onEvent && { onEvent }),
      ...(signal && { signal }),
      onPrepared: async ({ id, resumed }) => {
        options.onBegun?.(id)
        holding = await holdMove(client, id, options)
        const file = await openMoveFile(options)
        try {
          await captureFile(client, file, holding.held, { resumed })
        } finally {
          file.close()
        }
      },
    })
    return { report, holding: holding! }
  } catch (error) {
    await holding?.release()
    throw error
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** From a finished copy on: what was not planned for following is made ready, the capture is in the file, and the state says so. */
export const beginFollowing = async (client: pg.Client, held: HeldRun, options: LiveMoveOptions): Promise<HeldRun> => {
  const live = await makeLive(client, held)
  const file = await openMoveFile(options)
  try {
    const captured = await captureFile(client, file, live, { resumed: true })
    const after = await advance(client, captured, 'copied', 'following')
    options.onEvent?.({ type: 'state', from: 'copied', to: 'following' })
    return after
  } finally {
    file.close()
  }
}
