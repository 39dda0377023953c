import { systemClock } from '../time/clock.js'
import { within } from './within.js'

const graceMs = 1_000

/**
 * The outcome of `work`, unless the signal aborts first: then `cancel` is called, the work gets a moment to end, so that
 * its locks are gone, and the signal's reason is raised.
 */
export const cancellable = async <T>(work: Promise<T>, signal: AbortSignal, cancel: () => Promise<void>): Promise<T> => {
  let onAbort = () => {}
  const aborted = new Promise<true>((resolve) => {
    onAbort = () => resolve(true)
  })
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const ended = work.then(
      () => false,
      () => false,
    )
    if (!(await Promise.race([ended, aborted]))) return await work
    await within(systemClock, graceMs, Promise.all([cancel(), ended]))
    throw signal.reason
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
