import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'

export interface TimeoutOptions {
  readonly timeoutMs: number
  /** Names what is waited for, in the error. */
  readonly what?: string
  readonly fix?: string
  /** The cause that the error of the time-out carries. */
  readonly cause?: () => unknown
  readonly signal?: AbortSignal
  readonly clock?: Clock
}

/**
 * Runs `work` and gives its outcome, unless `timeoutMs` pass first: then its signal is aborted and TM_TIME_TIMEOUT raised
 * at once, whether or not the work heeds the signal. An abort of `signal` ends it in the same way, with that signal's reason.
 */
export const withTimeout = async <T>(
  work: (signal: AbortSignal) => T | Promise<T>,
  {
    timeoutMs,
    what = 'The call',
    fix = 'Try again, or allow it more time.',
    cause,
    signal: outer,
    clock = systemClock,
  }: TimeoutOptions,
): Promise<T> => {
  outer?.throwIfAborted()
  const inner = new AbortController()
  const done = new AbortController()
  // Not AbortSignal.any: on a signal that lives as long as the process it would keep every call's signal alive.
  const passOn = () => inner.abort(outer?.reason)
  outer?.addEventListener('abort', passOn, { once: true })
  const aborted = new Promise<never>((_resolve, reject) => {
    inner.signal.addEventListener('abort', () => reject(inner.signal.reason), { once: true })
  })
  clock.sleep(timeoutMs, done.signal).then(
    () => inner.abort(new TidemarkError('TM_TIME_TIMEOUT', { what, timeoutMs, fix }, { cause: cause?.() })),
    () => {},
  )
  try {
    return await Promise.race([aborted, (async () => work(inner.signal))()])
  } finally {
    outer?.removeEventListener('abort', passOn)
    done.abort()
  }
}
