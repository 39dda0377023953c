/** `rollback`: the way back from Postgres to SQLite with nothing lost (MOVE-5), or the end of one that was left behind. */
import { holdMove } from '../live/holding.js'
import { type OpenedMove, refuseWhileSwitching, withMove } from '../live/open-move.js'
import { Steps } from '../live/pause.js'
import { stateError } from '../live/record.js'
import { runCommand } from '../live/run-command.js'
import type { SwitchOptions, SwitchReport } from '../live/switch-options.js'
import { settleRollback } from './settle-rollback.js'
import { type SwitchedBack, switchBack } from './switch-back.js'
import { untoldTables } from './untold-tables.js'

export interface RollbackReport extends SwitchReport {
  /** Up to where in the feed the file holds what Postgres took: everything. */
  readonly position: string | null
  /** Triggers of the application that could not be put back into the file, each with the reason. */
  readonly lostTriggers: readonly string[]
}

export type RollbackOptions = SwitchOptions

/** The file takes writes again, so failing to look is no failure of the rollback. */
const tellUntold = async ({ file, run }: OpenedMove, { onEvent }: RollbackOptions): Promise<void> => {
  const untold = await file.read((db) => untoldTables(db, run.plan)).catch(() => [])
  if (untold.length === 0) return
  const message = `The file's triggers did not run while Postgres took the writes, so what they keep up stayed as it was at the cutover: ${untold.join(', ')}.`
  onEvent?.({ type: 'notice', message })
}

/**
 * Switches the application's writes back to SQLite, with everything that Postgres took meanwhile. When a gate refuses or the pause would last
 * too long, all of it is undone and the application goes on writing to Postgres. Raises TM_MOVE_STATE, TM_MOVE_GATE, TM_MOVE_PAUSE,
 * TM_MOVE_RUNNING, TM_MOVE_FENCED.
 */
export const rollback = (options: RollbackOptions): Promise<RollbackReport> =>
  withMove(options, async (move) => {
    const { client, file, run } = move
    await refuseWhileSwitching(client, run)
    const isLeftBehind = run.state === 'rollingBack'
    if (run.state !== 'mirroring' && !isLeftBehind) throw stateError(run.path, run.state, 'rolledBack')
    const steps = new Steps(options.clock, options.onEvent)
    const holding = await holdMove(client, run.id, options)
    const signal = AbortSignal.any([holding.lost, ...(options.signal ? [options.signal] : [])])
    try {
      let { held } = holding
      let back: SwitchedBack | undefined
      if (isLeftBehind) {
        held = await settleRollback(client, file, held, options)
        if (held.run.state === 'rolledBack')
          back = { held, pauseMs: 0, position: held.run.mirroredPosition ?? '', lostTriggers: [] }
      }
      const resumed = back !== undefined
      back ??= await switchBack({ client, file, held, options, steps, signal })
      if (!resumed) options.onEvent?.({ type: 'state', from: 'mirroring', to: 'rolledBack' })
      await tellUntold(move, options)
      const command = options.onSwitch ? await runCommand(options.onSwitch, 'rolledBack') : null
      return {
        ok: command?.failure == null,
        runId: run.id,
        resumed,
        pauseMs: Math.round(back.pauseMs),
        elapsedMs: Math.round(steps.elapsedMs),
        steps: steps.taken,
        epoch: String(back.held.epoch),
        position: back.position || null,
        lostTriggers: back.lostTriggers,
        command,
      }
    } finally {
      await holding.release()
    }
  })
