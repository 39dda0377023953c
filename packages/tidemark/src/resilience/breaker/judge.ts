import { isTidemarkError } from '../../errors.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { parseRetryAfter, retryAfterMsOf } from '../retry.js'

/**
 * What the end of a call says of the service. `throttled`: it answered, and asked to be called less often; `gone`: the caller gave up,
 * which says nothing.
 */
export type Verdict =
  | { readonly kind: 'good' | 'failed' | 'timeout' | 'gone' }
  | { readonly kind: 'throttled'; readonly retryAfterMs: number }

const good: Verdict = { kind: 'good' }
const failed: Verdict = { kind: 'failed' }
const timedOut: Verdict = { kind: 'timeout' }

/** Where a service that asks for less does not say for how long. */
const defaultThrottleMs = 1_000

const byStatus = (status: number, retryAfterMs: number): Verdict => {
  if (status === 429) return { kind: 'throttled', retryAfterMs: retryAfterMs || defaultThrottleMs }
  // Below 500 the request is at fault, and the service well enough to say so.
  return status >= 500 ? failed : good
}

const statusOf = (error: object): number | undefined => {
  for (const name of ['status', 'statusCode']) {
    const status = (error as Readonly<Record<string, unknown>>)[name]
    if (typeof status === 'number' && status >= 100 && status <= 599) return status
  }
  return undefined
}

/** By what the error says of itself: an HTTP status, a time-out; anything unknown is the service's failure. */
export const judgeError = (error: unknown): Verdict => {
  if (isTidemarkError(error, 'TM_TIME_TIMEOUT')) return timedOut
  if (typeof error !== 'object' || error === null) return failed
  if (isTidemarkError(error)) {
    if (error.httpStatus === 429) return byStatus(429, retryAfterMsOf(error))
    return error.retryable || error.httpStatus >= 500 ? failed : good
  }
  const status = statusOf(error)
  if (status !== undefined) return byStatus(status, retryAfterMsOf(error))
  const { name, code } = error as { readonly name?: unknown; readonly code?: unknown }
  return name === 'TimeoutError' || code === 'ETIMEDOUT' || code === 'UND_ERR_HEADERS_TIMEOUT' ? timedOut : failed
}

/** Answers of `fetch` carry their status; anything else that came is good. */
export const judgeResult = (result: unknown, clock: Clock = systemClock): Verdict => {
  if (!(result instanceof Response)) return good
  return byStatus(result.status, parseRetryAfter(result.headers.get('retry-after') ?? '', clock) ?? 0)
}
