/** Brings following and its comparison so close to the head of the log that the rest fits into a pause. */

import type pg from 'pg'
import type { TidemarkError } from '../../errors.js'
import type { Clock } from '../../time/clock.js'
import type { Checks } from '../checks/checks.js'
import type { Follow } from '../follow/follow.js'
import { differenceError, gateError } from '../live/gate.js'
import type { LiveRun } from '../live/live-run.js'
import { mostLeft, Patience } from '../live/patience.js'

export interface CatchUpOptions {
  readonly client: pg.Client
  readonly run: LiveRun
  readonly follow: Follow
  readonly checks: Checks
  readonly clock: Clock
  readonly signal: AbortSignal
}

const slow = (run: LiveRun, behind: number, rangesDone: boolean): TidemarkError => {
  const reason = rangesDone
    ? `following does not catch up with the application's writes (${behind} changes behind)`
    : 'the comparison of all tables did not end in time'
  const fix = 'Let `tidemark move follow` run until `tidemark move status` shows no lag, and cut over when less is going on.'
  return gateError('cutover', run.path, reason, fix)
}

/** Ticks both until little is left. Raises TM_MOVE_GATE where that takes too long, or rows stay different. */
export const catchUp = async ({ client, run, follow, checks, clock, signal }: CatchUpOptions): Promise<void> => {
  const patience = new Patience(clock)
  for (;;) {
    signal.throwIfAborted()
    const { appliedSeq, atHead, renewed } = await follow.tick()
    for (const table of renewed) await checks.restartTable(table)
    const { behind } = follow.lag()
    if (patience.isOver) throw slow(run, behind, checks.status().rangesDone)
    // An application that writes all the time is caught up with first: comparing would take half of the time.
    if (!atHead && behind > mostLeft) continue
    const { worked, checkedSeq, rangesDone, differences, pauseMs } = await checks.tick({ appliedSeq })
    // Only at the head are both sides of one moment: in between, rows clash that never stood side by side in the file.
    const isNear = rangesDone && atHead && appliedSeq - checkedSeq <= mostLeft
    if (isNear && differences === 0) return
    if (patience.differsToStay(differences) && isNear) throw await differenceError(client, 'cutover', run)
    if (atHead && !worked) await clock.sleep(Math.min(50, Math.max(1, pauseMs)), signal)
  }
}
