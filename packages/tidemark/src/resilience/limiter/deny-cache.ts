import { type Clock, systemClock } from '../../time/clock.js'
import type { LimiterStore, LimitRequest, LimitTaken } from './limits.js'

interface Denial {
  readonly untilMs: number
  readonly cost: number
  readonly taken: LimitTaken
}

const nameOf = ({ key, rule }: LimitRequest): string => `${rule.algorithm}/${rule.limit}/${rule.windowMs}:${key}`

/**
 * Remembers refusals until the moment that they name: who calls on and on against a used-up limit costs no round trip. Nothing that
 * the store would refuse is admitted; what another decision gives back meanwhile is noticed late.
 */
export const withDenyCache = (
  store: LimiterStore,
  { maxKeys = 10_000, clock = systemClock }: { readonly maxKeys?: number; readonly clock?: Clock } = {},
): LimiterStore => {
  // In order of last use, as a Map keeps the order of insertion.
  const denials = new Map<string, Denial>()

  const remembered = (request: LimitRequest): LimitTaken | undefined => {
    // The usual case, without a key to build.
    if (denials.size === 0) return undefined
    const name = nameOf(request)
    const denial = denials.get(name)
    if (!denial || request.cost < denial.cost) return undefined
    const leftMs = denial.untilMs - clock.monotonicMs()
    if (leftMs <= 0) {
      denials.delete(name)
      return undefined
    }
    const { taken } = denial
    const resetMs = Math.max(leftMs, taken.resetMs - (taken.retryAfterMs - leftMs))
    return { ...taken, retryAfterMs: leftMs, resetMs, by: 'remembered' }
  }

  return {
    take: async (request) => {
      const known = remembered(request)
      if (known) return known
      const taken = await store.take(request)
      if (!taken.allowed && taken.by === 'counted') {
        const name = nameOf(request)
        denials.delete(name)
        denials.set(name, { untilMs: clock.monotonicMs() + taken.retryAfterMs, cost: request.cost, taken })
        const [oldest] = denials.size > maxKeys ? denials.keys() : []
        if (oldest !== undefined) denials.delete(oldest)
      }
      return taken
    },
    giveBack: (request, taken) => store.giveBack(request, taken),
  }
}
