import type { Breaker } from './breaker/breaker.js'
import type { Bulkhead } from './bulkhead.js'
import type { Limiter } from './limiter/limits.js'
import { isRetryable, type RetryOptions, retry } from './retry.js'
import type { RetryBudget } from './retry-budget.js'
import { withTimeout } from './with-timeout.js'

export interface GuardOptions {
  readonly breaker?: Breaker
  /** Counts each attempt; one that does not fit waits where the deadline of `retry` allows it, and is refused otherwise. */
  readonly limiter?: Limiter
  /** Of the limiter: what is counted apart. Default `calls`. */
  readonly limitKey?: string
  readonly bulkhead?: Bulkhead
  /** Of one attempt. Default: none. */
  readonly timeoutMs?: number
  /** Only for calls that may be made twice. Default: one attempt. */
  readonly retry?: Omit<RetryOptions, 'signal' | 'mayRetry' | 'what'> & { readonly budget?: RetryBudget }
}

/** Everything that stands before the calls to one service. */
export interface Guard {
  readonly service: string
  readonly options: GuardOptions
  /**
   * Makes the call: of the attempts each has its place among those at once, its count against the limit, the breaker's consent, and its time.
   * `once`: it must not be made twice, whatever happens.
   */
  run<T>(
    call: (signal: AbortSignal) => Promise<T>,
    options?: { readonly signal?: AbortSignal; readonly once?: boolean },
  ): Promise<T>
}

/** Puts together what stands before the calls to one service. */
export const createGuard = (service: string, options: GuardOptions): Guard => {
  const { breaker, limiter, limitKey = 'calls', bulkhead, timeoutMs, retry: retrying } = options

  const timed = <T>(call: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> =>
    timeoutMs === undefined ? call(signal) : withTimeout(call, { timeoutMs, what: `A call to ${service}`, signal })

  const attempt = async <T>(call: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> => {
    // Asked before anything is taken or waited for, and again when it is this call's turn.
    if (breaker?.refusal()) return breaker.run(call, { signal })
    const placed = async (): Promise<T> => {
      await limiter?.enforce(limitKey)
      return breaker ? breaker.run((inner) => timed(call, inner), { signal }) : timed(call, signal)
    }
    return bulkhead ? bulkhead.run(placed, { signal }) : placed()
  }

  return {
    service,
    options,
    run: (call, { signal = new AbortController().signal, once = false } = {}) => {
      const budget = retrying?.budget
      budget?.called()
      if (!retrying || once) return attempt(call, signal)
      const { retryable = isRetryable } = retrying
      return retry(({ signal: inner }) => attempt(call, inner), {
        ...retrying,
        retryable,
        mayRetry: () => budget?.take() ?? true,
        what: `The call to ${service}`,
        signal,
      })
    },
  }
}
