/** Brings following and its comparison so close to the head of the log that the rest fits into a pause. */

import type { Clock } from '../../time/clock.js'
import type { Checks } from '../checks/checks.js'
import type { Follow } from '../follow/follow.js'
import { gateError } from '../live/gate.js'
import type { LiveRun } from '../live/live-run.js'

/** How many changes may be left, to apply and to compare. */
const mostLeft = 2_000n
/** How long to try: a follower that is slower than the application's writes never gets there. */
const patienceMs = 120_000

export interface CatchUpOptions {
  readonly run: LiveRun
  readonly follow: Follow
  readonly checks: Checks
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Ticks both until little is left. Raises TM_MOVE_GATE where that takes too long, or the comparison finds something. */
export const catchUp = async ({ run, follow, checks, clock, signal }: CatchUpOptions): Promise<void> => {
  const endMs = clock.monotonicMs() + patienceMs
  for (;;) {
    signal.throwIfAborted()
    const { appliedSeq, atHead, renewed } = await follow.tick()
    for (const table of renewed) await checks.restartTable(table)
    const { behind } = follow.lag()
    const { rangesDone, differences } = checks.status()
    if (clock.monotonicMs() > endMs) throw slow({ run, behind, rangesDone, differences })
    // An application that writes all the time is caught up with first: comparing would take half of the time.
    if (!atHead && behind > mostLeft) continue
    const checked = await checks.tick({ appliedSeq })
    const left = BigInt(atHead ? 0 : behind) + appliedSeq - checked.checkedSeq
    if (checked.rangesDone && checked.differences === 0 && left <= mostLeft) return
    if (atHead && !checked.worked) await clock.sleep(Math.min(50, Math.max(1, checked.pauseMs)), signal)
  }
}

const slow = (found: {
  readonly run: LiveRun
  readonly behind: number
  readonly rangesDone: boolean
  readonly differences: number
}) => {
  const { run, behind, rangesDone, differences } = found
  const reason =
    differences > 0
      ? `${differences} row(s) differ between the two sides`
      : rangesDone
        ? `following does not catch up with the application's writes (${behind} changes behind)`
        : 'the comparison of all tables did not end in time'
  const fix =
    differences > 0
      ? 'See them with `tidemark move status`.'
      : 'Let `tidemark move follow` run until `tidemark move status` shows no lag, and cut over when less is going on.'
  return gateError('cutover', run.path, reason, fix)
}
