import type { Metrics } from '../../observability/observability.js'
import type { Resilience } from './open-resilience.js'

const states = { CLOSED: 0, HALF_OPEN: 1, OPEN: 2 } as const

/** Counts are kept as plain numbers where calls are made, and told here before a scrape. */
export const createResilienceMetrics = (
  metrics: Metrics,
  resilience: Pick<Resilience, 'breakers' | 'limiters' | 'journal'>,
): { refresh(): void } => {
  const state = metrics.gauge('tidemark_breaker_state', 'Of a service: 0 closed, 1 half open, 2 open.', ['service'])
  const calls = metrics.counter('tidemark_breaker_calls_total', 'Calls to services, by how they ended.', ['service', 'outcome'])
  const decisions = metrics.counter('tidemark_limiter_decisions_total', 'Decisions of limiters, and who took them.', [
    'limiter',
    'outcome',
  ])
  const waiting = metrics.gauge('tidemark_journal_entries', 'What waits on disk for its store.', ['journal'])
  const bytes = metrics.gauge('tidemark_journal_bytes', 'What a journal takes on disk.', ['journal'])
  const told = new Map<string, number>()

  /** What came since the last time. */
  const since = (name: string, count: number): number => {
    const before = told.get(name) ?? 0
    told.set(name, count)
    return count - before
  }

  return {
    refresh: () => {
      for (const breaker of resilience.breakers.list()) {
        const { service } = breaker
        state.set(states[breaker.read().state], { service })
        for (const [outcome, count] of Object.entries(breaker.counts))
          calls.add(since(`breaker ${service} ${outcome}`, count), { service, outcome })
      }
      for (const [at, limiter] of resilience.limiters.entries()) {
        for (const [outcome, count] of Object.entries(limiter.counts))
          decisions.add(since(`limiter ${at} ${outcome}`, count), { limiter: limiter.name, outcome })
      }
      const { journal } = resilience
      if (!journal) return
      const backlog = journal.backlog()
      waiting.set(backlog.entries, { journal: journal.name })
      bytes.set(backlog.bytes, { journal: journal.name })
    },
  }
}
