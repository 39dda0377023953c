import { defineRule, type Rule } from './rule.js'

/** Gauges that are measured for rules alone, see `server/alerts/alert-probes.ts`. */
export const probeMetrics = {
  diskFree: 'tidemark_watch_disk_free_ratio',
  clockOffset: 'tidemark_watch_clock_offset_seconds',
  migrations: 'tidemark_watch_migrations_entries',
  moveBehind: 'tidemark_watch_move_behind_rows',
  mirrorBehind: 'tidemark_watch_mirror_behind_bytes',
  webhooksWaiting: 'tidemark_watch_webhooks_waiting_seconds',
  webhooksDead: 'tidemark_watch_webhooks_dead_entries',
  memory: 'tidemark_watch_memory_used_ratio',
} as const

/** Gauges of the way that alerts take themselves. */
export const pathMetrics = {
  unfolded: 'tidemark_alerts_unfolded_seconds',
  undelivered: 'tidemark_alerts_undelivered_seconds',
} as const

const requests = 'tidemark_http_request_duration_seconds_count'
const realtimeLag = 'tidemark_realtime_lag_seconds'
const statements = 'tidemark_postgres_query_duration_seconds_count'

/** What every server looks at. `alerts.thresholds` changes levels and times, or leaves a rule out. */
export const standardRules: readonly Rule[] = [
  defineRule({
    name: 'database-away',
    severity: 'critical',
    entityType: 'database',
    for: '2s',
    keepFiringFor: '15s',
    when: { health: 'postgres', is: ['down'] },
    says: 'Postgres does not answer: {detail}.',
    mutes: ['feed-silence', 'sync-lag', 'error-rate', 'statement-errors', 'pool-utilisation', 'feed.away', 'alert-path'],
  }),
  defineRule({
    name: 'slow-queries',
    severity: 'warning',
    entityType: 'pool',
    when: { increase: { metric: 'tidemark_postgres_slow_queries_total' }, per: 'pool', over: '5m', above: 20, back: 5 },
    says: '{value} statements of the pool {entity} were slow within 5 minutes (more than {limit}).',
  }),
  defineRule({
    name: 'error-rate',
    severity: 'error',
    for: '30s',
    when: {
      share: { of: { metric: requests, where: { status: /^5/ } }, among: { metric: requests } },
      entity: 'http',
      over: '5m',
      atLeast: 20,
      above: 0.05,
      back: 0.02,
    },
    says: 'The share {value} of requests ended with a fault of the server (more than {limit}).',
  }),
  defineRule({
    name: 'statement-errors',
    severity: 'error',
    entityType: 'pool',
    for: '30s',
    when: {
      share: { of: { metric: statements, where: { failed: 'true' } }, among: { metric: statements } },
      per: 'pool',
      over: '5m',
      atLeast: 50,
      above: 0.2,
      back: 0.05,
    },
    says: 'The share {value} of statements of the pool {entity} failed (more than {limit}).',
  }),
  defineRule({
    name: 'refusals',
    severity: 'warning',
    entityType: 'security',
    when: { increase: { metric: requests, where: { status: /^40[13]$/ } }, entity: 'http', over: '5m', above: 500, back: 100 },
    says: '{value} requests were refused for want of a right within 5 minutes (more than {limit}): somebody may be trying keys.',
  }),
  defineRule({
    name: 'pool-utilisation',
    severity: 'warning',
    entityType: 'pool',
    for: '1m',
    when: { gauge: { metric: 'tidemark_postgres_pool_utilisation_ratio' }, per: 'pool', above: 0.9, back: 0.75 },
    says: 'The share {value} of the connections of the pool {entity} is in use (more than {limit}).',
  }),
  defineRule({
    name: 'slot-lag',
    severity: 'critical',
    entityType: 'feed',
    for: '30s',
    when: { gauge: { metric: 'tidemark_feed_lag_bytes' }, entity: 'feed', above: 1024 ** 3, back: 512 * 1024 ** 2 },
    says: 'Postgres keeps {value} bytes of its log for the feed (more than {limit}): its disk may fill.',
  }),
  defineRule({
    name: 'feed-silence',
    severity: 'error',
    entityType: 'feed',
    for: '15s',
    when: { health: 'feed', is: ['down', 'degraded'] },
    says: 'The feed is not fresh, so that caches do not answer: {detail}.',
  }),
  defineRule({
    name: 'realtime-lag',
    severity: 'warning',
    entityType: 'realtime',
    for: '1m',
    when: {
      share: { of: { metric: `${realtimeLag}_bucket`, where: { le: '1' } }, among: { metric: `${realtimeLag}_count` } },
      entity: 'changes',
      over: '5m',
      atLeast: 100,
      below: 0.95,
      back: 0.99,
    },
    says: 'Of the changes that clients are told of, the share {value} comes to them within a second (less than {limit}).',
  }),
  defineRule({
    name: 'redis-away',
    severity: 'warning',
    entityType: 'redis',
    for: '5s',
    keepFiringFor: '15s',
    when: { health: 'redis', is: ['down'] },
    says: 'Redis does not answer; everything goes on without it, more slowly.',
    mutes: ['feed-silence', 'redis.down', 'feed.away'],
  }),
  defineRule({
    name: 'webhook-backlog',
    severity: 'error',
    entityType: 'webhooks',
    for: '30s',
    when: { gauge: { metric: probeMetrics.webhooksWaiting }, entity: 'webhooks', above: 120, back: 30 },
    says: 'The oldest webhook event waits for {value} seconds (more than {limit}).',
  }),
  defineRule({
    name: 'webhook-dead-letters',
    severity: 'error',
    entityType: 'webhooks',
    keepFiringFor: 0,
    when: { gauge: { metric: probeMetrics.webhooksDead }, per: 'provider', above: 0 },
    says: 'Dead letters of {entity}: {value}. See `tidemark hooks dlq`.',
  }),
  defineRule({
    name: 'schema-drift',
    severity: 'warning',
    entityType: 'schema',
    for: '2m',
    when: { gauge: { metric: probeMetrics.migrations }, per: 'state', above: 0 },
    says: 'Migrations that are {entity}: {value}. See `tidemark schema status`.',
  }),
  defineRule({
    name: 'sync-lag',
    severity: 'warning',
    entityType: 'store',
    for: '1m',
    when: [
      { health: 'secondary', is: ['down'] },
      { gauge: { metric: probeMetrics.moveBehind }, per: 'move', above: 10_000, back: 1000 },
      { gauge: { metric: probeMetrics.mirrorBehind }, per: 'move', above: 64 * 1024 ** 2, back: 8 * 1024 ** 2 },
    ],
    says: 'The copy {entity} is not in step: {value}. {detail}',
  }),
  defineRule({
    name: 'disk',
    severity: 'warning',
    entityType: 'disk',
    for: '1m',
    when: { gauge: { metric: probeMetrics.diskFree }, per: 'folder', below: 0.1, back: 0.15 },
    says: 'The share {value} of the disk of {entity} is free (less than {limit}).',
  }),
  defineRule({
    name: 'disk-full',
    severity: 'critical',
    entityType: 'disk',
    when: { gauge: { metric: probeMetrics.diskFree }, per: 'folder', below: 0.03, back: 0.05 },
    says: 'The share {value} of the disk of {entity} is free (less than {limit}).',
    mutes: ['disk'],
  }),
  defineRule({
    name: 'memory',
    severity: 'warning',
    for: '1m',
    when: { gauge: { metric: probeMetrics.memory }, entity: 'process', above: 0.9, back: 0.8 },
    says: 'The share {value} of the memory that this process may have is in use (more than {limit}).',
  }),
  defineRule({
    name: 'clock_skew',
    severity: 'error',
    entityType: 'host',
    for: '10s',
    when: { gauge: { metric: probeMetrics.clockOffset }, per: 'host', above: 5, back: 2 },
    says: 'The clock of {entity} is {value} seconds off that of Postgres (more than {limit}): signatures and tokens may be refused.',
  }),
  defineRule({
    name: 'alert-path',
    severity: 'critical',
    entityType: 'alerts',
    for: '10s',
    when: [
      { gauge: { metric: pathMetrics.unfolded }, entity: 'fold', above: 60, back: 10 },
      { gauge: { metric: pathMetrics.undelivered }, per: 'channel', above: 60, back: 10 },
    ],
    says: 'Alerts have waited for {value} seconds to get past {entity} (more than {limit}).',
  }),
]
