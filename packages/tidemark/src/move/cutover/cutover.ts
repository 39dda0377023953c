/** `cutover`: the switch from SQLite to Postgres (MOVE-4), or the end of one that was left behind. */
import { watchSchema } from '../../sqlite/capture/watch.js'
import { checkRecord, gateError, named } from '../live/gate.js'
import { holdMove } from '../live/holding.js'
import type { LiveRun } from '../live/live-run.js'
import { type OpenedMove, refuseWhileSwitching, withMove } from '../live/open-move.js'
import { Steps } from '../live/pause.js'
import { stateError } from '../live/record.js'
import { runCommand } from '../live/run-command.js'
import type { SwitchOptions, SwitchReport } from '../live/switch-options.js'
import { validateForeignKeys } from './rehearse.js'
import { settleCutover } from './settle-cutover.js'
import { type Switched, switchOver } from './switch-over.js'

export interface CutoverReport extends SwitchReport {
  /** Where in the feed Postgres took over. */
  readonly position: string
  /** Foreign keys that hold for new rows only, since rows of the file break them. */
  readonly unvalidated: readonly string[]
}

export type CutoverOptions = SwitchOptions

/** What a look without holding the move can refuse already, so that following goes on undisturbed. */
const checkBefore = async ({ client, file, run }: OpenedMove): Promise<void> => {
  if (run.state !== 'following') throw stateError(run.path, run.state, 'mirroring')
  await checkRecord(client, run)
  const { added } = await file.read((db) => watchSchema(db))
  const unknown = added.filter((name) => !run.plan.excluded.includes(name))
  if (unknown.length === 0) return
  const fix = 'Begin a new move that knows them, or leave them where they are with --exclude.'
  throw gateError('cutover', run.path, `tables were added since the move began: ${named(unknown)}`, fix)
}

const isLeftBehind = ({ state }: LiveRun): boolean => state === 'cuttingOver'

/**
 * Switches the application's writes from SQLite to Postgres. Everything that takes time happens before the pause; when a gate refuses or the
 * pause would last too long, all of it is undone and the application goes on writing to the file. Raises TM_MOVE_STATE, TM_MOVE_GATE,
 * TM_MOVE_PAUSE, TM_MOVE_RUNNING, TM_MOVE_FENCED, and TM_MOVE_UNDECIDED where Postgres is gone at the very moment of the switch.
 */
export const cutover = (options: CutoverOptions): Promise<CutoverReport> =>
  withMove(options, async (move) => {
    const { client, file, run } = move
    await refuseWhileSwitching(client, run)
    if (!isLeftBehind(run)) await checkBefore(move)
    const steps = new Steps(options.clock, options.onEvent)
    const holding = await holdMove(client, run.id, options)
    const signal = AbortSignal.any([holding.lost, ...(options.signal ? [options.signal] : [])])
    try {
      let { held } = holding
      let switched: Switched | undefined
      if (isLeftBehind(held.run)) {
        held = await settleCutover(client, file, held, options)
        if (held.run.state === 'mirroring') switched = { held, pauseMs: 0 }
        else await checkBefore({ ...move, run: held.run })
      }
      const resumed = switched !== undefined
      switched ??= await switchOver({ client, file, held, options, steps, signal })
      if (!resumed) options.onEvent?.({ type: 'state', from: 'following', to: 'mirroring' })
      const unvalidated = await steps.take('validate foreign keys', () => validateForeignKeys(client, switched.held))
      const command = options.onSwitch ? await runCommand(options.onSwitch, 'mirroring') : null
      return {
        ok: command?.failure == null,
        runId: run.id,
        resumed,
        pauseMs: Math.round(switched.pauseMs),
        elapsedMs: Math.round(steps.elapsedMs),
        steps: steps.taken,
        position: switched.held.run.cutPosition ?? '',
        epoch: String(switched.held.epoch),
        unvalidated,
        command,
      }
    } finally {
      await holding.release()
    }
  })
