import type { Clock } from '../../time/clock.js'

export interface RefreshOptions {
  /** Does the work once. Raises only when it is stopped. */
  run(): Promise<void>
  readonly clock: Clock
  /** How long it must be quiet after an announcement. */
  readonly quietMs: number
  /** After how long it runs even though announcements go on. */
  readonly maxDelayMs: number
  readonly signal: AbortSignal
}

export interface Refresh {
  /** A run that starts after this call; callers that come while one is under way share the next. */
  now(): Promise<void>
  /** Has it run soon, once for many announcements. */
  announce(): void
  /** The run that is to come or under way, if there is one. */
  readonly due: Promise<void> | undefined
}

/** Work of which one is done at a time, and which may be asked for often. */
export const createRefresh = ({ run, clock, quietMs, maxDelayMs, signal }: RefreshOptions): Refresh => {
  let running: Promise<void> | undefined
  let queued: Promise<void> | undefined
  let settling: Promise<void> | undefined
  let announcedAt = 0

  const start = (): Promise<void> => {
    running = run().finally(() => {
      running = undefined
    })
    return running
  }

  const now = (): Promise<void> => {
    if (!running) return start()
    queued ??= running
      .catch(() => undefined)
      .then(() => {
        queued = undefined
        return start()
      })
    return queued
  }

  const settle = async (): Promise<void> => {
    const firstAt = clock.monotonicMs()
    for (let quietAt = announcedAt + quietMs; quietAt > clock.monotonicMs(); quietAt = announcedAt + quietMs) {
      const leftMs = Math.min(quietAt, firstAt + maxDelayMs) - clock.monotonicMs()
      if (leftMs <= 0) break
      await clock.sleep(leftMs, signal)
    }
    // What is announced from here on may come too late for the run that begins.
    settling = undefined
    await now()
  }

  return {
    now,
    announce: () => {
      announcedAt = clock.monotonicMs()
      if (settling) return
      settling = settle()
      settling.catch(() => undefined)
    },
    get due() {
      return queued ?? settling ?? running
    },
  }
}
