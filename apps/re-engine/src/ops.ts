/** What operators look at: pools, caches, breakers and limits of this process, and for Prometheus. */
import {
  createCacheMetrics,
  createMetrics,
  createPoolGauges,
  createPoolObserver,
  type Logger,
  type OpenCache,
  type Pool,
  type PoolStats,
  type PoolsOptions,
  type Resilience,
} from 'tidemark'
import type { Overview } from './answers.js'
import type { EngineCaches } from './caches.js'

export interface Ops {
  overview(): Overview
  /** In Prometheus' text format. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
}

export interface Measuring {
  readonly metrics: ReturnType<typeof createMetrics>
  readonly observer: NonNullable<PoolsOptions['observer']>
}

export const createMeasuring = (log: Logger): Measuring => {
  const metrics = createMetrics({ process: true })
  return { metrics, observer: createPoolObserver(metrics, log) }
}

export interface OpsOptions {
  readonly metrics: ReturnType<typeof createMetrics>
  readonly pools: readonly Pool[]
  readonly cache: Pick<OpenCache<EngineCaches>, 'report' | 'stats'>
  readonly resilience: Pick<Resilience, 'breakers' | 'limiters' | 'refreshMetrics'>
  readonly listeners: () => number
}

export const createOps = ({ metrics, pools, cache, resilience, listeners }: OpsOptions): Ops => {
  const showPools = createPoolGauges(metrics)
  const shown = createCacheMetrics(metrics, cache)
  const streams = metrics.gauge('tidemark_lead_updates_listeners_entries', 'Who listens to changes of leads.')
  const poolOf = ({ name, total, idle, inUse, waiting, maxConnections, utilisation }: PoolStats) => ({
    ...{ name, total, idle, waiting, utilisation },
    in_use: inUse,
    max_connections: maxConnections,
  })
  return {
    overview: () => ({
      pools: pools.map((pool) => poolOf(pool.stats())),
      cache: cache.report(),
      breakers: resilience.breakers.list().map((breaker) => {
        const { service, state, scope, failureCount, retryAfterMs } = breaker.read()
        return { service, state, scope, failure_count: failureCount, retry_after_ms: Math.ceil(retryAfterMs) }
      }),
      limits: resilience.limiters.map(({ name, counts }) => ({ name, ...counts })),
      listeners: listeners(),
    }),
    metrics: async () => {
      showPools(pools)
      shown.refresh()
      resilience.refreshMetrics()
      streams.set(listeners())
      return { contentType: metrics.contentType, text: await metrics.render() }
    },
  }
}
