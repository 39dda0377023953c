import type { Clock } from '../../time/clock.js'

/** Waits for the work, but no longer than `timeoutMs`; true where it ended. What it raises counts as an end. */
export const within = async (clock: Clock, timeoutMs: number, work: Promise<unknown>): Promise<boolean> => {
  const done = new AbortController()
  const timeout = clock.sleep(timeoutMs, done.signal).then(
    () => false,
    () => true,
  )
  const ended = work.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([ended, timeout])
  } finally {
    done.abort()
  }
}
