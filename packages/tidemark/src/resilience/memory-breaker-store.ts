import { maskSecrets } from '../secrets.js'
import { type Clock, systemClock } from '../time/clock.js'
import { afterCall, type BreakerRecord, beforeCall, newBreakerRecord, snapshotOf } from './breaker-machine.js'
import type { BreakerStore, BreakerTransition } from './resilience.js'

/** Keeps the state of breakers in this process. Each method is one step without a pause, so no two calls interleave within it. */
export const createMemoryBreakerStore = ({ clock = systemClock }: { readonly clock?: Clock } = {}): BreakerStore => {
  const records = new Map<string, BreakerRecord>()
  // Wall time that never goes back: what people read agrees with the calendar, and a corrected clock opens nothing.
  const origin = clock.now() - clock.monotonicMs()
  const now = () => origin + clock.monotonicMs()
  const read = (service: string) => records.get(service) ?? newBreakerRecord

  const store = (service: string, next: BreakerRecord, reason: string): { transition?: BreakerTransition } => {
    const before = read(service)
    records.set(service, next)
    if (before.state === next.state) return {}
    const { epoch, state: to } = next
    const failureCount = to === 'CLOSED' ? before.failuresAt.length : next.failuresAt.length
    return {
      transition: { service, from: before.state, to, epoch, failureCount, at: Math.round(now()), reason: maskSecrets(reason) },
    }
  }

  return {
    before: async (service, rules) => {
      const { record, answer } = beforeCall(read(service), rules, now())
      return { answer, ...store(service, record, 'the back-off is over') }
    },
    after: async (service, rules, permit, outcome, reason) => ({
      answer: undefined,
      ...store(service, afterCall(read(service), rules, now(), permit, outcome), reason),
    }),
    read: async (service, rules) => snapshotOf(read(service), rules, now()),
  }
}
