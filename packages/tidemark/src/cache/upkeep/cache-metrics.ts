/** What a cache does, for Prometheus. */
import type { Metrics } from '../../observability/observability.js'
import type { EntryStats } from '../entry/entry-stats.js'
import type { EntryReport, NodeReport } from './cache-report.js'

/** A cache, as far as it is measured. */
export interface MeasuredCache {
  report(): NodeReport
  stats(): Readonly<Record<string, EntryStats>>
}

const ageBuckets = [0.01, 0.05, 0.25, 1, 5, 30, 120, 600, 1800, 3600, 21_600]

type Counted = {
  readonly [K in keyof EntryReport]: EntryReport[K] extends number ? K : never
}[keyof EntryReport]

const define = (metrics: Metrics) => {
  const counter = (name: string, help: string) => metrics.counter(`tidemark_cache_${name}_total`, help, ['entry'])
  const hits = metrics.counter('tidemark_cache_hits_total', 'Reads that were answered without a load, by where from.', [
    'entry',
    'source',
  ])
  const evictions = metrics.counter('tidemark_cache_evictions_total', 'Keys that went from memory before their time, and why.', [
    'entry',
    'reason',
  ])
  const simple: readonly (readonly [Counted, ReturnType<typeof counter>])[] = [
    ['misses', counter('misses', 'Reads that memory did not answer.')],
    ['loads', counter('loads', 'Loads from Postgres.')],
    ['loadErrors', counter('load_errors', 'Loads that failed.')],
    ['refused', counter('refused_fills', 'Values that were answered and not kept: something changed while they were read.')],
    ['bypassed', counter('bypasses', 'Reads that went past the cache, which was not proven fresh or was held by a write.')],
    ['clears', counter('clears', 'Times that a whole entry went.')],
    ['redisErrors', counter('redis_errors', 'Reads and fills that Redis failed.')],
    ['tooLarge', counter('too_large', 'Values that were answered and not kept for their size.')],
    ['sampled', counter('samples', 'Cached keys that were compared with Postgres.')],
    ['staleFound', counter('stale', 'Cached keys that were not as Postgres has them. Must stay 0.')],
  ]
  return {
    simple,
    bySource: (['memory', 'redis', 'stale'] as const).map((source) => ({ field: source, labels: { source }, counter: hits })),
    byReason: [
      { field: 'evictions' as const, labels: { reason: 'change' }, counter: evictions },
      { field: 'displaced' as const, labels: { reason: 'room' }, counter: evictions },
    ],
    bytes: metrics.gauge('tidemark_cache_memory_bytes', 'What values take in memory.', ['entry']),
    keys: metrics.gauge('tidemark_cache_memory_entries', 'Keys in memory.', ['entry']),
    hitRate: metrics.gauge('tidemark_cache_hit_ratio', 'Reads that were answered without a load, since the start.', ['entry']),
    age: metrics.histogram(
      'tidemark_cache_age_seconds',
      'How old some of the answers from memory and Redis were.',
      ['entry'],
      ageBuckets,
    ),
    freshness: metrics.gauge(
      'tidemark_cache_freshness_seconds',
      'Time since the cache was proven to have applied everything; it answers while this is below feed.maxSilenceMs.',
    ),
  }
}

/** Defines the metrics of a cache. `refresh` brings them up to date: call it before each scrape. */
export const createCacheMetrics = (metrics: Metrics, cache: MeasuredCache): { refresh(): void } => {
  const defined = define(metrics)
  const shown = new Map<string, EntryReport>()
  for (const [entry, stats] of Object.entries(cache.stats()))
    stats.onAge = (ageMs) => defined.age.observe(ageMs / 1000, { entry })

  const show = (entry: string, now: EntryReport): void => {
    const before = shown.get(entry)
    const since = (field: Counted): number => Math.max(0, now[field] - (before?.[field] ?? 0))
    for (const [field, counter] of defined.simple) counter.add(since(field), { entry })
    for (const { field, labels, counter } of defined.bySource) counter.add(since(field), { entry, ...labels })
    for (const { field, labels, counter } of defined.byReason) counter.add(since(field), { entry, ...labels })
    defined.bytes.set(now.bytes, { entry })
    defined.keys.set(now.keys, { entry })
    defined.hitRate.set(now.hitRate ?? 0, { entry })
    shown.set(entry, now)
  }

  const refresh = (): void => {
    const { entries, freshnessMs } = cache.report()
    for (const [entry, report] of Object.entries(entries)) show(entry, report)
    defined.freshness.set(freshnessMs === null ? Number.POSITIVE_INFINITY : freshnessMs / 1000)
  }
  refresh()
  return { refresh }
}
