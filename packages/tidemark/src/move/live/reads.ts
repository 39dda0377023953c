/** Reads may move before the writes do: the share of them that Postgres answers (R82). */
import { TidemarkError } from '../../errors.js'
import { requireLiveRun, stateError } from './record.js'
import { choiceOf, withSession } from './session.js'
import type { LiveMoveOptions } from './switch-options.js'

export interface ReadsReport {
  readonly runId: string
  readonly percent: number
  readonly before: number
}

/** Sets the share; only while the file is followed, since before it Postgres is not whole and after it Postgres answers all of them. */
export const setReads = (options: LiveMoveOptions & { readonly percent: number }): Promise<ReadsReport> =>
  withSession(options, async (client) => {
    const { percent } = options
    if (!Number.isInteger(percent) || percent < 0 || percent > 100) {
      throw new TidemarkError('TM_MOVE_PERCENT', { percent })
    }
    const run = await requireLiveRun(client, choiceOf(options))
    const { rowCount } = await client.query(
      "UPDATE tidemark.move_runs SET reads_percent = $2, updated_at = now() WHERE id = $1 AND state = 'following'",
      [run.id, percent],
    )
    if (rowCount !== 1) throw stateError(run.path, run.state, 'moving reads')
    return { runId: run.id, percent, before: run.readsPercent }
  })
