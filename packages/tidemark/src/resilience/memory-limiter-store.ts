import { type Clock, systemClock } from '../time/clock.js'
import { positiveInteger } from './checks.js'
import type { LimitDecision, LimiterStore, LimitRule } from './resilience.js'
import { WindowLog } from './window-log.js'

export interface MemoryLimiterOptions {
  /** Keys kept at once. Beyond it the key that was used longest ago is forgotten, and with it what it had used up. Default 10,000. */
  readonly maxKeys?: number
  readonly clock?: Clock
}

const waitFor = (log: WindowLog, { limit, windowMs }: LimitRule, cost: number, now: number): number => {
  const mustLeave = log.count + cost - limit
  return mustLeave <= 0 ? 0 : log.at(mustLeave - 1) + windowMs - now
}

/**
 * Counts calls in this process, each with its moment, so that no span of the window ever holds more than the limit.
 * Memory: 8 bytes a call in the window, at most `limit` calls a key, at most `maxKeys` keys.
 */
export const createMemoryLimiterStore = ({ maxKeys = 10_000, clock = systemClock }: MemoryLimiterOptions = {}): LimiterStore => {
  positiveInteger({ maxKeys })
  // In order of last use: a Map keeps the order of insertion, and each use inserts anew.
  const logs = new Map<string, WindowLog>()

  const touch = (key: string, limit: number): WindowLog => {
    const log = logs.get(key) ?? new WindowLog(limit)
    logs.delete(key)
    logs.set(key, log)
    const [oldest] = logs.size > maxKeys ? logs.keys() : []
    if (oldest !== undefined) logs.delete(oldest)
    return log
  }

  return {
    take: async (key, rule, cost): Promise<LimitDecision> => {
      const { limit, windowMs } = rule
      const now = clock.monotonicMs()
      // One key may stand under two rules (a day's and a minute's): each has a window of its own.
      const log = touch(`${limit}/${windowMs}:${key}`, limit)
      log.forget(now - windowMs)
      const retryAfterMs = waitFor(log, rule, cost, now)
      const allowed = retryAfterMs === 0
      if (allowed) log.add(now, cost)
      const resetMs = log.count === 0 ? 0 : log.at(log.count - 1) + windowMs - now
      return { allowed, limit, remaining: limit - log.count, retryAfterMs, resetMs }
    },
  }
}
