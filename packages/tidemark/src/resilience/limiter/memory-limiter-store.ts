import { type Clock, systemClock } from '../../time/clock.js'
import { positiveInteger } from '../checks.js'
import { type Counter, makeCounter } from './counters.js'
import type { LimiterStore, LimitRequest } from './limits.js'

export interface MemoryLimiterOptions {
  /** Keys kept at once. Beyond it the key that was used longest ago is forgotten, and with it what it had used up. Default 10,000. */
  readonly maxKeys?: number
  readonly clock?: Clock
}

/**
 * Counts calls in this process. Memory for each key: 8 bytes a call in the window for `log`, 170 bytes for `ring`, one number for `gcra`;
 * at most `maxKeys` keys.
 */
export const createMemoryLimiterStore = ({ maxKeys = 10_000, clock = systemClock }: MemoryLimiterOptions = {}): LimiterStore => {
  positiveInteger({ maxKeys })
  // In order of last use: a Map keeps the order of insertion, and each use inserts anew.
  const counters = new Map<string, Counter>()

  const touch = ({ key, rule }: LimitRequest): Counter => {
    const { algorithm, limit, windowMs, burst } = rule
    // One key may stand under two rules (a day's and a minute's): each has a window of its own.
    const name = `${algorithm}/${limit}/${windowMs}/${burst}:${key}`
    const counter = counters.get(name) ?? makeCounter(rule)
    counters.delete(name)
    counters.set(name, counter)
    const [oldest] = counters.size > maxKeys ? counters.keys() : []
    if (oldest !== undefined) counters.delete(oldest)
    return counter
  }

  return {
    take: async (request) => {
      const { rule, cost } = request
      const nowMs = clock.monotonicMs()
      const counter = touch(request)
      const { allowed, retryAfterMs } = counter.look(nowMs, cost)
      if (allowed) counter.add(nowMs, cost)
      const { remaining, resetMs } = counter.look(nowMs, 0)
      return {
        allowed,
        limit: rule.limit,
        remaining,
        retryAfterMs,
        resetMs,
        resetAt: Math.ceil(clock.now() + resetMs),
        windowMs: rule.windowMs,
        by: 'counted',
        receipt: String(nowMs),
      }
    },
    giveBack: async (request, { receipt }) => touch(request).remove(Number(receipt), request.cost),
  }
}
