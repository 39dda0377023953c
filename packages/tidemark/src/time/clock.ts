import { setTimeout as delay } from 'node:timers/promises'

/** Where long-lived things take the time from, so that tests can supply their own. */
export interface Clock {
  /** Wall time in milliseconds since 1970. */
  now(): number
  /** Milliseconds on a clock that never goes back. */
  monotonicMs(): number
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Node ends a longer timer at once. */
export const longestTimerMs = 2 ** 31 - 1

const wait = async (ms: number, signal: AbortSignal | undefined): Promise<void> => {
  let left = ms
  do {
    await delay(Math.min(left, longestTimerMs), undefined, signal ? { signal } : undefined)
    left -= longestTimerMs
  } while (left > 0)
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await wait(ms, signal).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : error
    })
  },
}
