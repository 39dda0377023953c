import { createHealth } from '../../observability/health.js'
import { createMetrics } from '../../observability/metrics.js'
import type { Health, HealthFinding, Logger, Metrics, Signals } from '../../observability/observability.js'
import { createSignals } from '../../observability/signals.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Redis } from '../../redis/redis.js'
import { createPoolGauges } from '../database/pool-metrics.js'
import type { Runtime } from '../runtime.js'

/** How a process is watched: its health, its metrics, and the trouble that lower floors report. */
export interface Observation {
  readonly health: Health
  readonly metrics: Metrics
  readonly signals: Signals
  /** Takes what the process is connected to into its health and its metrics. */
  watch(runtime: Runtime): void
  /** Brings the gauges up to date before a scrape. */
  refreshGauges(): void
  /** Called with every refresh. Gives what ends it. */
  onRefresh(refresh: () => void): () => void
}

const poolsOf = ({ pools: { primary, analytics, migration, secondary, auth } }: Runtime): readonly Pool[] => [
  primary,
  analytics,
  migration,
  ...(secondary ? [secondary] : []),
  ...(auth ? [auth] : []),
]

const checkPool = async (pool: Pool, signal: AbortSignal): Promise<HealthFinding> => {
  await pool.query('select 1', [], { signal, idempotent: true })
  return { status: 'up' }
}

const checkRedis = ({ state }: Redis): HealthFinding => {
  if (state === 'up') return { status: 'up' }
  return { status: state === 'absent' ? 'degraded' : 'down', detail: state === 'absent' ? 'there is none' : 'it does not answer' }
}

/** Makes the observation of one process. Until something is watched, the database counts as disconnected. */
export const createObservation = (log: Logger): Observation => {
  const health = createHealth()
  const metrics = createMetrics({ process: true })
  const signals = createSignals({ log })
  const showPools = createPoolGauges(metrics)
  const redisUp = metrics.gauge('tidemark_redis_up_state', '1 while Redis answers, 0 while it is down or absent.')
  const raised = metrics.counter('tidemark_signals_total', 'Trouble, and its end, that was noticed.', ['name'])
  signals.listen(({ name }) => raised.increment({ name }))
  const refreshes = new Set<() => void>()
  let watched: Runtime | undefined
  return {
    health,
    metrics,
    signals,
    watch: (runtime) => {
      watched = runtime
      const { pools, redis } = runtime
      health.register({ name: 'postgres', critical: true, check: (signal) => checkPool(pools.primary, signal) })
      if (pools.secondary) {
        const { secondary } = pools
        health.register({ name: 'secondary', critical: false, check: (signal) => checkPool(secondary, signal) })
      }
      health.register({ name: 'redis', critical: false, check: () => checkRedis(redis.redis) })
    },
    refreshGauges: () => {
      if (watched) showPools(poolsOf(watched))
      redisUp.set(watched?.redis.redis.state === 'up' ? 1 : 0)
      for (const refresh of refreshes) refresh()
    },
    onRefresh: (refresh) => {
      refreshes.add(refresh)
      return () => void refreshes.delete(refresh)
    },
  }
}
