/** How everything stands, in one answer: what the first screen of the dashboard shows. */
import { rankOf } from '../../alerts/alerts.js'
import type { Alerts } from '../../alerts/open-alerts.js'
import type { Cache, Definitions } from '../../cache/create-cache.js'
import type { HealthReport } from '../../observability/observability.js'
import type { Pool, Pools } from '../../postgres/postgres.js'
import type { ServerFeed } from '../feed/feed.js'
import type { Project } from '../project/project.js'
import type { Resilience } from '../resilience/open-resilience.js'
import type { Runtime } from '../runtime.js'
import { cacheStats, type StatsReport } from './cache.js'

export interface OverviewInput {
  readonly runtime: Pick<Runtime, 'pools' | 'redis' | 'postgresVersion' | 'maxConnections'>
  readonly health: HealthReport
  readonly feed: ServerFeed | undefined
  readonly cache: Cache<Definitions> | undefined
  readonly alerts: Alerts | undefined
  readonly resilience: Resilience | undefined
  readonly uptimeSeconds: number
}

/** Requests of a stretch of time. Times are milliseconds since 1970. */
export interface RequestBucket {
  readonly at: number
  readonly requests: number
  readonly errors: number
  /** Null where there were none. */
  readonly p50Ms: number | null
  readonly p95Ms: number | null
}

export interface MoveGlance {
  readonly path: string
  readonly state: string
  readonly tables: number
  readonly rows: number
  readonly copied: number
  readonly differences: number
}

export interface Overview {
  readonly at: number
  readonly uptimeSeconds: number
  readonly health: HealthReport
  readonly requests: {
    /** Length of a bucket. */
    readonly bucketMs: number
    readonly buckets: readonly RequestBucket[]
    /** Over all buckets. */
    readonly total: number
    readonly errors: number
    readonly p50Ms: number | null
    readonly p95Ms: number | null
  }
  readonly postgres: {
    readonly version: string
    readonly maxConnections: number
    readonly pools: readonly { readonly name: string; readonly total: number; readonly idle: number; readonly waiting: number }[]
  }
  readonly redis: { readonly state: string; readonly driver: string }
  readonly feed: {
    readonly role: string
    readonly freshnessMs: number | null
    readonly problem: string | null
    readonly followers: number
  } | null
  readonly cache: {
    readonly hitRate: number | null
    readonly memory: number
    readonly redis: number
    readonly misses: number
    readonly staleFound: number
    readonly bytes: number
  } | null
  readonly alerts: { readonly open: number; readonly critical: number } | null
  readonly breakers: { readonly all: number; readonly open: number }
  readonly webhooks: { readonly waiting: number; readonly dead: number }
  /** Those that have not ended. */
  readonly moves: readonly MoveGlance[]
}

const bucketMs = 30_000
const buckets = 30

const requestsSql = `
  with span as (select to_timestamp(floor(extract(epoch from now()) * 1000 / $1) * $1 / 1000 - $1 * ($2 - 1) / 1000.0) as since)
  select (floor(extract(epoch from timestamp) * 1000 / $1) * $1)::float8 as at, count(*)::int as requests,
         count(*) filter (where status_code >= 500)::int as errors,
         percentile_cont(0.5) within group (order by response_time) as "p50Ms",
         percentile_cont(0.95) within group (order by response_time) as "p95Ms"
    from public.api_metrics, span
   where timestamp >= span.since and endpoint not like '/admin/v1%' and endpoint not like '/assets/%'
   group by rollup (1)`

interface RequestRow extends Omit<RequestBucket, 'at'> {
  /** Null in the row of all together. */
  readonly at: number | null
}

const readRequests = async (pool: Pool): Promise<Overview['requests']> => {
  const { rows } = await pool.query<RequestRow>(requestsSql, [bucketMs, buckets], { idempotent: true })
  const found = new Map(rows.map((row) => [row.at, row]))
  const whole = found.get(null)
  const last = Math.floor(Date.now() / bucketMs) * bucketMs
  const empty = { requests: 0, errors: 0, p50Ms: null, p95Ms: null }
  return {
    bucketMs,
    buckets: Array.from({ length: buckets }, (_none, n) => {
      const at = last - (buckets - 1 - n) * bucketMs
      return { ...empty, ...found.get(at), at }
    }),
    total: whole?.requests ?? 0,
    errors: whole?.errors ?? 0,
    p50Ms: whole?.p50Ms ?? null,
    p95Ms: whole?.p95Ms ?? null,
  }
}

const countsSql = `
  select (select count(*)::int from public.webhook_events where status in ('accepted', 'processing', 'failed')) as waiting,
         (select count(*)::int from public.webhook_events where status = 'dead') as dead,
         coalesce((select json_agg(json_build_object('path', r.source_path, 'state', r.state, 'tables', jsonb_array_length(r.plan -> 'tables'),
             'rows', (select coalesce(sum((t ->> 'rows')::float8), 0) from jsonb_array_elements(r.plan -> 'tables') as t),
             'copied', (select coalesce(sum(p.rows_copied), 0)::float8 from tidemark.move_progress as p where p.run_id = r.id),
             'differences', (select count(*)::int from tidemark.move_differences as d where d.run_id = r.id)) order by r.started_at desc)
           from tidemark.move_runs as r where r.state not in ('finished', 'aborted')), '[]') as moves`

type Counts = Overview['webhooks'] & Pick<Overview, 'moves'>

/** Of all nodes together, as the Cache screen has it. */
export const cacheGlance = ({ nodes }: StatsReport): Overview['cache'] => {
  if (nodes.length === 0) return null
  const entries = nodes.flatMap((node) => Object.values(node.entries))
  const sum = (of: (entry: (typeof entries)[number]) => number): number => entries.reduce((total, entry) => total + of(entry), 0)
  const [memory, redis, misses] = [sum((entry) => entry.memory), sum((entry) => entry.redis), sum((entry) => entry.misses)]
  const reads = memory + redis + misses
  return {
    hitRate: reads === 0 ? null : (memory + redis) / reads,
    memory,
    redis,
    misses,
    staleFound: sum((entry) => entry.staleFound),
    bytes: sum((entry) => entry.bytes),
  }
}

const poolGlance = (pools: Pools): Overview['postgres']['pools'] =>
  [pools.primary, pools.analytics, pools.migration].map((pool) => {
    const { total, idle, waiting } = pool.stats()
    return { name: pool.name, total, idle, waiting }
  })

/** Everything at once, from what this server knows, two short questions to Postgres, and what other nodes tell of their caches. */
export const overview = async (project: Project, input: OverviewInput): Promise<Overview> => {
  const { runtime, health, feed, cache, alerts, resilience, uptimeSeconds } = input
  const { pools, redis, postgresVersion, maxConnections } = runtime
  const [requests, { rows }, open, caches] = await Promise.all([
    readRequests(pools.primary),
    pools.primary.query<Counts>(countsSql, [], { idempotent: true }),
    alerts?.list({ status: 'open', limit: 1000 }),
    cacheStats(project, { cache, redis }),
  ])
  const { waiting, dead, moves } = rows[0]!
  const described = feed?.describe()
  const breakers = resilience?.breakers.list().map((breaker) => breaker.read().state) ?? []
  return {
    at: Date.now(),
    uptimeSeconds,
    health,
    requests,
    postgres: { version: postgresVersion, maxConnections, pools: poolGlance(pools) },
    redis: { state: redis.redis.state, driver: redis.redis.driver },
    feed: described
      ? {
          role: described.role,
          freshnessMs: described.freshnessMs,
          problem: described.problem,
          followers: described.followers.length,
        }
      : null,
    cache: cacheGlance(caches),
    alerts: open
      ? { open: open.length, critical: open.filter(({ severity }) => rankOf(severity) >= rankOf('critical')).length }
      : null,
    breakers: { all: breakers.length, open: breakers.filter((state) => state !== 'CLOSED').length },
    webhooks: { waiting, dead },
    moves,
  }
}
