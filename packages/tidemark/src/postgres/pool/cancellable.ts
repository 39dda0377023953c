import { systemClock } from '../../time/clock.js'
import { within } from './within.js'

const graceMs = 1_000
const nothing = () => undefined

/**
 * The outcome of `work`, unless the signal aborts first: then `cancel` is called, the work gets a moment to end, so that
 * its locks are gone, and the signal's reason is raised.
 */
export const cancellable = <T>(work: Promise<T>, signal: AbortSignal, cancel: () => Promise<void>): Promise<T> =>
  new Promise((resolve, reject) => {
    const raise = (): void => reject(signal.reason)
    let isOver = false
    const onAbort = (): void => {
      isOver = true
      within(systemClock, graceMs, Promise.all([cancel(), work.then(nothing, nothing)])).then(raise, raise)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(
      (value) => {
        if (isOver) return
        signal.removeEventListener('abort', onAbort)
        resolve(value)
      },
      (error: unknown) => {
        if (isOver) return
        signal.removeEventListener('abort', onAbort)
        reject(error)
      },
    )
  })
