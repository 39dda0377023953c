/** While SQLite takes the writes: follow and compare, until another process takes over or the caller has what it waits for. */
import { systemClock } from '../../time/clock.js'
import type { Checks } from '../checks/checks.js'
import { openChecks } from '../checks/open-checks.js'
import type { Follow } from '../follow/follow.js'
import { openFollow } from '../follow/open-follow.js'
import type { HeldRun } from './live-run.js'
import { mostLeft } from './patience.js'
import type { LiveMoveOptions } from './switch-options.js'

/** How long to rest where there was nothing to do. */
const restMs = 20

export interface AlongOptions extends LiveMoveOptions {
  readonly held: HeldRun
  /** The part of the time that comparing may take. */
  readonly checkShare?: number
  readonly signal: AbortSignal
}

export interface FollowAlongOptions extends AlongOptions {
  /** Ends as soon as a switch would be let through. */
  readonly untilReady: boolean
}

const loop = async (
  follow: Follow,
  checks: Checks,
  { signal, untilReady, clock = systemClock }: FollowAlongOptions,
): Promise<void> => {
  for (;;) {
    signal.throwIfAborted()
    const { applied, appliedSeq, atHead, renewed } = await follow.tick()
    for (const table of renewed) await checks.restartTable(table)
    const { worked, rangesDone, differences, checkedSeq } = await checks.tick({ appliedSeq })
    if (untilReady && atHead && rangesDone && differences === 0 && appliedSeq - checkedSeq <= mostLeft) return
    if (applied === 0 && !worked) await clock.sleep(restMs, signal)
  }
}

/** Resolves once ready, where that was asked for; raises TM_MOVE_FENCED, TM_MOVE_STATE and what following raises. */
export const followAlong = async (options: FollowAlongOptions): Promise<void> => {
  const { held, target, onEvent, signal, clock, checkShare } = options
  const shared = { held, target, signal, ...(onEvent && { onEvent }), ...(clock && { clock }) }
  onEvent?.({ type: 'phase', phase: 'follow', rowsTotal: held.run.plan.totals.rows })
  const follow = await openFollow(shared)
  try {
    const checks = await openChecks({ ...shared, direction: 'follow', ...(checkShare !== undefined && { share: checkShare }) })
    try {
      await loop(follow, checks, options)
    } finally {
      await checks.close()
    }
  } finally {
    await follow.close()
  }
}
