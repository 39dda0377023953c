import type { Logger, Metrics } from '../../observability/observability.js'
import type { Pool, PoolObserver } from '../../postgres/postgres.js'

const buckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** Measures what the pools do. Acquiring and connecting are apart: a slow acquire may be a full pool or a slow network. */
export const createPoolObserver = (metrics: Metrics, log: Logger): PoolObserver => {
  const acquire = metrics.histogram(
    'tidemark_postgres_acquire_seconds',
    'From asking for a connection to having it.',
    ['pool'],
    buckets,
  )
  const connect = metrics.histogram(
    'tidemark_postgres_connect_seconds',
    'From opening a socket to being logged in.',
    ['pool'],
    buckets,
  )
  const query = metrics.histogram('tidemark_postgres_query_duration_seconds', 'Statements.', ['pool', 'failed'], buckets)
  const slow = metrics.counter('tidemark_postgres_slow_queries_total', 'Statements above postgres.slowQueryMs.', ['pool'])
  const retried = metrics.counter('tidemark_postgres_retries_total', 'Lost connections that were waited out.', ['pool'])
  const lost = metrics.counter('tidemark_postgres_lost_connections_total', 'Connections that broke while open.', ['pool'])
  return {
    acquired: ({ pool, durationMs }) => acquire.observe(durationMs / 1000, { pool }),
    connected: ({ pool, durationMs }) => connect.observe(durationMs / 1000, { pool }),
    queried: ({ pool, durationMs, failed }) => query.observe(durationMs / 1000, { pool, failed: String(failed) }),
    slow: ({ pool, durationMs, text }) => {
      slow.increment({ pool })
      log.warn('slow statement', { pool, durationMs: Math.round(durationMs), text: text.slice(0, 300) })
    },
    retried: ({ pool, attempt, reason }) => {
      retried.increment({ pool })
      log.warn('connection lost, trying again', { pool, attempt, reason })
    },
    lost: ({ pool, reason }) => {
      lost.increment({ pool })
      log.warn('connection lost', { pool, reason })
    },
  }
}

/** Puts the pools' sizes into the metrics, as they are now. To be called before each scrape. */
export const createPoolGauges = (metrics: Metrics): ((pools: readonly Pool[]) => void) => {
  const connections = metrics.gauge('tidemark_postgres_pool_connections', 'Open connections, by what they do.', ['pool', 'state'])
  const limit = metrics.gauge('tidemark_postgres_pool_limit_connections', 'Most connections that a pool may open.', ['pool'])
  const waiting = metrics.gauge('tidemark_postgres_pool_waiting_entries', 'Callers that wait for a connection.', ['pool'])
  const utilisation = metrics.gauge('tidemark_postgres_pool_utilisation_ratio', 'Connections in use of those allowed.', ['pool'])
  const show = (pool: Pool): void => {
    const { name, idle, inUse, maxConnections, ...stats } = pool.stats()
    connections.set(idle, { pool: name, state: 'idle' })
    connections.set(inUse, { pool: name, state: 'in_use' })
    limit.set(maxConnections, { pool: name })
    waiting.set(stats.waiting, { pool: name })
    utilisation.set(stats.utilisation, { pool: name })
  }
  return (pools) => {
    for (const pool of pools) show(pool)
  }
}
