/** Puts the app together: databases, cache and feed, relay, second database, jobs and routes. */
import { setTimeout } from 'node:timers/promises'
import {
  createNamedPool,
  createOutboxQueue,
  createPusherTarget,
  createRelay,
  createSignals,
  type Follower,
  type Logger,
  type OutboxQueue,
  openCache,
  type Pool,
  type Relay,
  type Signals,
  silentLogger,
} from 'tidemark'
import { type CachePlaces, logFailures, openParts, type RunningApp, tellOfServices } from 'tidemark/app'
import { createAlerts } from './alerts.js'
import { createApp } from './app.js'
import { createJobs, type Jobs } from './jobs.js'
import { agentCaches, createCachedReads } from './reads.js'
import { relayRules } from './repository/events.js'
import type { Measured } from './repository/health.js'
import { type Backoff, defaultBackoff } from './repository/queue.js'
import { createRequestTimes } from './routes/request-times.js'
import { createSecondary, type Secondary } from './second-database/secondary.js'
import { switchSpool } from './second-database/spool.js'
import { createWrites } from './second-database/writes.js'
import { createSupabaseHealth } from './supabase-health.js'
import { SupabaseService } from './supabase-service.js'

export interface AgentsOptions extends Partial<Omit<CachePlaces, 'encryption'>> {
  /** The first database, as the server's role. */
  readonly database: string
  /** The second database, with a login that owns the tables there. */
  readonly secondary?: string | undefined
  /** Where events go: `https://KEY:SECRET@HOST/apps/ID`, Pusher's or a server's of Tidemark. */
  readonly pusher?: string | undefined
  /** SUPABASE_ENABLE_REALTIME (R64). Default true. */
  readonly realtime?: boolean
  /** HS256; at least 32 bytes. */
  readonly jwtSecret: string
  readonly backoff?: Partial<Backoff>
  readonly secondaryEveryMs?: number
  readonly connectTimeoutMs?: number
  readonly clock?: { now(): number }
  readonly log?: Logger
}

export interface Agents extends RunningApp {
  readonly jobs: Jobs
  /** What the routes do, for programs of the same process. */
  readonly service: SupabaseService
  readonly relay: Relay | undefined
  readonly secondary: Secondary | undefined
  readonly signals: Signals
}

interface Telling {
  readonly relay: Relay
  readonly queue: OutboxQueue
}

/** The queue lives in the first database: what is told belongs to the transaction that it tells of. */
const openRelay = (pool: Pool, pusher: string, signals: Signals, log: Logger): Telling => {
  const queue = createOutboxQueue({ pool, name: 'agents' })
  const relay = createRelay({
    name: 'agents',
    target: createPusherTarget({ url: pusher }),
    rules: relayRules,
    queue,
    signals,
    log,
  })
  return { relay, queue }
}

/** What others write is told from here on. Where changes do not come yet they are waited for no longer than this: what this server writes is told. */
const followedWithinMs = 10_000

const untilFollowed = async (freshnessMs: () => number, log: Logger): Promise<void> => {
  const endsAt = performance.now() + followedWithinMs
  while (!Number.isFinite(freshnessMs())) {
    if (performance.now() > endsAt) return log.warn('changes do not come yet; only what this server writes is told until they do')
    await setTimeout(20)
  }
}

/** From 0 to 1; null before the first read. */
const hitRateOf = (entries: readonly { readonly reads: number; readonly loads: number }[]): number | null => {
  const reads = entries.reduce((sum, entry) => sum + entry.reads, 0)
  const loads = entries.reduce((sum, entry) => sum + entry.loads, 0)
  return reads === 0 ? null : (reads - loads) / reads
}

/** Opens everything, or nothing. Raises TM_*. */
export const openAgents = (options: AgentsOptions): Promise<Agents> =>
  openParts(async (onStop) => {
    const {
      database,
      owner,
      replication,
      redis,
      prefix,
      jwtSecret,
      clock = Date,
      log = silentLogger,
      realtime: isRealtime = true,
    } = options
    const backoff: Backoff = { ...defaultBackoff, ...options.backoff }
    const signals = createSignals({ log })
    const alerts = createAlerts(signals)
    onStop(() => alerts.stop())
    const relayPool = createNamedPool('primary', { url: database, pools: { primary: { maxConnections: 4, minConnections: 0 } } })
    onStop(() => relayPool.stop())
    const telling = isRealtime && options.pusher !== undefined ? openRelay(relayPool, options.pusher, signals, log) : undefined
    const followers: readonly Follower[] = telling ? [telling.relay.follower] : []
    const places = { database, owner, replication, redis, prefix: prefix ?? '' }
    const cache = await openCache({ ...places, entries: agentCaches(), name: 'agents', followers, signals, log })
    onStop(() => cache.stop())
    const pool = cache.pools.primary
    onStop(tellOfServices(signals, pool, log))
    if (telling) {
      telling.relay.start()
      onStop(() => telling.relay.stop())
      await untilFollowed(() => cache.node.feed.freshness(telling.relay.follower.name), log)
    }
    const secondaryPool =
      options.secondary === undefined ? undefined : openSecondaryPool(options.secondary, options.connectTimeoutMs)
    if (secondaryPool) onStop(() => secondaryPool.stop())
    const secondary =
      secondaryPool &&
      createSecondary({ primary: pool, secondary: secondaryPool, log, signals, everyMs: options.secondaryEveryMs ?? 1_000 })
    if (secondary) {
      await secondary.start()
      onStop(() => secondary.stop())
    } else await switchSpool(pool, false)
    const writes = createWrites({
      transaction: (fn) => cache.write(fn),
      tell: telling && (async (db, messages) => void (await telling.queue.addWithin(db, messages))),
      told: () => telling?.relay.wake(),
      secondary,
    })
    const times = createRequestTimes()
    const measure = async (): Promise<Measured> => {
      const startedAt = performance.now()
      await pool.query('select 1')
      const status = await telling?.relay.getStatus()
      return {
        responseTimeMs: Math.round((performance.now() - startedAt) * 10) / 10,
        p95ResponseTimeMs: times.takeP95(),
        realtimeLagMs: status?.lagMs ?? null,
        poolUtilisation: Math.min(1, pool.stats().utilisation),
        cacheHitRate: hitRateOf(Object.values(cache.stats())),
        activeAlerts: alerts.active().length,
        degraded: alerts.active().map(({ alert_type }) => alert_type),
      }
    }
    const jobs = createJobs({ writes, pool, clock, backoff, signals, log, measure })
    const supabaseHealth = createSupabaseHealth(secondaryPool ?? pool, isRealtime)
    const service = new SupabaseService({ db: pool, writes, clock, backoff, health: supabaseHealth })
    const server = createApp({
      db: pool,
      reads: createCachedReads(cache),
      writes,
      service,
      clock,
      alerts,
      realtime: telling?.relay,
      jwtSecret,
      secondary,
      supabaseHealth,
      onFailure: logFailures(log),
    })
    server.addHook('onResponse', async (_request, reply) => times.add(reply.elapsedTime))
    onStop(() => jobs.stop())
    onStop(() => server.close())
    return { server, start: jobs.start, jobs, service, relay: telling?.relay, secondary, signals }
  })

/** Nobody waits for it at a start, and it is given up soon: what is written waits in the spool. */
const openSecondaryPool = (url: string, connectTimeoutMs = 2_000): Pool =>
  createNamedPool('secondary', {
    url,
    pools: { secondary: { maxConnections: 5, minConnections: 0, connectTimeoutMs } },
    retry: { attempts: 1 },
  })
