/** While Postgres takes the writes: mirror them into the file and compare, until another process takes over. */
import { isTidemarkError } from '../../errors.js'
import { formatPosition } from '../../feed/position.js'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { logHead, pruneLog } from '../../sqlite/capture/log.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { Checks } from '../checks/checks.js'
import { openChecks } from '../checks/open-checks.js'
import type { Mirror } from '../mirror/mirror.js'
import { openMirror } from '../mirror/open-mirror.js'
import { openMoveFile } from './file.js'
import type { FollowAlongOptions } from './follow-along.js'
import { mostLeft } from './patience.js'

/** How often old entries of the log go, and how far behind the mirror is gets told. */
const choresEveryMs = 1_000

class MirrorLoop {
  readonly #options: FollowAlongOptions
  readonly #clock: Clock
  readonly #file: CaptureDatabase
  readonly #mirror: Mirror
  readonly #checks: Checks
  #choresAtMs = 0

  constructor(options: FollowAlongOptions, file: CaptureDatabase, mirror: Mirror, checks: Checks) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#file = file
    this.#mirror = mirror
    this.#checks = checks
  }

  async run(): Promise<void> {
    const { signal, untilReady } = this.#options
    for (;;) {
      signal.throwIfAborted()
      const { caughtUp } = await this.#mirror.tick()
      const appliedSeq = await this.#file.read(logHead, { signal })
      const mirroredPosition = formatPosition(this.#mirror.position())
      const { checkedSeq, differences } = await this.#checks.tick({ appliedSeq, mirroredPosition })
      if (untilReady && caughtUp && differences === 0 && appliedSeq - checkedSeq <= mostLeft) return
      if (this.#clock.monotonicMs() < this.#choresAtMs) continue
      this.#choresAtMs = this.#clock.monotonicMs() + choresEveryMs
      await this.#prune(checkedSeq)
      await this.#tellLag()
    }
  }

  /** Everything compared is done with; a locked file only means later. */
  async #prune(checkedSeq: bigint): Promise<void> {
    const { held, signal } = this.#options
    await pruneLog(this.#file, held.run.captureId ?? '', checkedSeq, { signal, timeoutMs: 200 }).catch((error: unknown) => {
      if (!isTidemarkError(error, 'TM_SQLITE_LOCKED')) throw error
    })
  }

  async #tellLag(): Promise<void> {
    const { onEvent } = this.#options
    if (!onEvent) return
    const { behindBytes, behindMs, changesPerSecond } = await this.#mirror.lag()
    onEvent({ type: 'lag', phase: 'mirror', behindBytes, behindMs, changesPerSecond })
  }
}

/** Resolves once a rollback would be let through, where that was asked for; raises TM_MOVE_FENCED and what the mirror raises; a slot that was lost is made up for by comparing every table. */
export const mirrorAlong = async (options: FollowAlongOptions): Promise<void> => {
  const { held, target, feedTarget, onEvent, signal, clock, checkShare } = options
  const shared = { held, target, signal, ...(onEvent && { onEvent }), ...(clock && { clock }) }
  onEvent?.({ type: 'phase', phase: 'mirror', rowsTotal: 0 })
  const file = await openMoveFile(options)
  try {
    const mirror = await openMirror({ ...shared, onLost: 'resync', ...(feedTarget && { feedTarget }) })
    try {
      const checks = await openChecks({ ...shared, direction: 'mirror', ...(checkShare !== undefined && { share: checkShare }) })
      try {
        await new MirrorLoop(options, file, mirror, checks).run()
      } finally {
        await checks.close()
      }
    } finally {
      await mirror.close()
    }
  } finally {
    file.close()
  }
}
