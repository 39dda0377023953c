import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { positive, positiveInteger } from './checks.js'
import { createMemoryLimiterStore } from './memory-limiter-store.js'
import type { Limiter, LimiterStore } from './resilience.js'

export interface LimiterOptions {
  /** Names the limit, in errors and as the first part of its keys: `<service>:<endpoint>`. */
  readonly name: string
  /** Default 100. */
  readonly limit?: number
  /** Default one hour. */
  readonly windowMs?: number
  /** Where calls are counted. Default: in this process. */
  readonly store?: LimiterStore
  readonly clock?: Clock
}

/** Makes a sliding-window limiter. Raises TM_RESILIENCE_BAD_OPTION. */
export const createLimiter = ({
  name,
  limit = 100,
  windowMs = 3_600_000,
  store,
  clock = systemClock,
}: LimiterOptions): Limiter => {
  positiveInteger({ limit })
  positive({ windowMs })
  const rule = { limit, windowMs }
  const counted = store ?? createMemoryLimiterStore({ clock })

  const take: Limiter['take'] = async (key, cost = 1) => {
    positiveInteger({ cost })
    if (cost > limit) {
      throw new TidemarkError('TM_RESILIENCE_BAD_OPTION', {
        option: 'cost',
        value: cost,
        expected: `at most the limit, ${limit}`,
      })
    }
    return counted.take(`${name}:${key}`, rule, cost)
  }

  return {
    name,
    rule,
    take,
    enforce: async (key, cost) => {
      const decision = await take(key, cost)
      if (decision.allowed) return decision
      const retryAfterMs = Math.ceil(decision.retryAfterMs)
      throw new TidemarkError('TM_RESILIENCE_RATE_LIMITED', { limit, windowMs, name, retryAfterMs })
    },
  }
}
