/** Puts the app together: pools, caches and feed, who carries messages, jobs and routes. */
import {
  createApiMetrics,
  createLiveCounters,
  createNamedPool,
  createRedis,
  createSignals,
  type Logger,
  openCache,
  openResilience,
  silentLogger,
} from 'tidemark'
import {
  type CachePlaces,
  createCallerDatabase,
  createSchedule,
  logFailedJobs,
  logFailures,
  openParts,
  type RunningApp,
  tellOfServices,
} from 'tidemark/app'
import { createApp } from './app.js'
import { defaultMemory, engineCaches, type MemoryOptions } from './caches.js'
import { EngineError } from './engine-error.js'
import { createLeadUpdates, type LeadUpdates } from './lead-updates.js'
import { createMeasuring, createOps } from './ops.js'
import { createCachedReads } from './reads.js'
import { areExpiring, expireApprovals } from './repository/approvals.js'
import { areWaiting, assignWaiting } from './repository/leads.js'
import { createReports, refreshReports } from './repository/reports.js'
import type { Touches } from './routes/route-context.js'
import type { Db } from './rows.js'
import { createHttpCourier } from './sending/courier.js'
import { createSender } from './sending/sender.js'
import { createServerWrites } from './server-writes.js'

export interface EngineOptions extends Partial<Omit<CachePlaces, 'encryption'>> {
  /** As the server's role; Neon's direct or its pooled connection string. */
  readonly database: string
  /** The pooled connection string, for reports. Default: `database`. */
  readonly analytics?: string | undefined
  /** The same with a login that may become the roles of callers. */
  readonly callers: string
  /** HS256; at least 32 bytes. */
  readonly jwtSecret: string
  /** Who carries messages; without it what is approved waits. */
  readonly courier?: { readonly url: string; readonly key?: string | undefined } | undefined
  /** Where what breakers did waits while Postgres is away. */
  readonly folder: string
  /** Failures that open a breaker, and how long it stays open at first. */
  readonly breaker: { readonly failureThreshold: number; readonly recoveryTimeoutMs: number }
  readonly memory?: Partial<Omit<MemoryOptions, 'linearizable'>>
  /** First pause after a message that could not be handed over. */
  readonly sendBaseMs?: number | undefined
  /** How often reports are computed anew. Default 60,000. */
  readonly reportsEveryMs?: number | undefined
  readonly clock?: { now(): number }
  readonly log?: Logger
}

export interface Engine extends RunningApp {
  readonly subscribeToLeadUpdates: LeadUpdates['subscribeToLeadUpdates']
}

/** Of tables, where it is not known which rows are written. */
const everything = ['leads', 'approvals'] as const

/** Opens everything, or nothing. Raises TM_*. */
export const openEngine = (options: EngineOptions): Promise<Engine> =>
  openParts(async (onStop) => {
    const { database, owner, replication, redis: url, prefix = '', analytics, log = silentLogger, clock = Date } = options
    const signals = createSignals({ log })
    const { metrics, observer } = createMeasuring(log)
    const leadUpdates = createLeadUpdates(() => log.warn('a listener of lead updates failed'))
    // Nodes agree over Redis before a write; alone, or without it, there is nobody to ask.
    const linearizable = url !== undefined
    const cache = await openCache({
      ...{ database, owner, replication, redis: url, prefix, signals, log },
      pools: {
        observer,
        ...(analytics !== undefined && { analyticsUrl: analytics }),
        ...(owner !== undefined && { migrationUrl: owner }),
      },
      entries: engineCaches({ ...defaultMemory, ...options.memory, linearizable }),
      followers: [leadUpdates.follower],
      name: 're_engine',
    })
    onStop(() => cache.stop())
    const pool = cache.pools.primary
    const callerPool = createNamedPool('rest', { url: options.callers, observer, pools: { rest: { minConnections: 2 } } })
    onStop(() => callerPool.stop())
    // A connection takes a while to make; requests find them made (C37).
    await Promise.all([pool.start(), cache.pools.analytics.start(), callerPool.start()])
    const redis = await createRedis(url === undefined ? { name: 're-engine' } : { url, name: 're-engine', log })
    onStop(() => redis.stop())
    onStop(tellOfServices(signals, pool, log))
    const resilience = await openResilience({ redis, pool, folder: options.folder, prefix, signals, metrics, log })
    onStop(() => resilience.stop())
    const apiMetrics = createApiMetrics({ isLeftOut: (route) => ['/health', '/livez', '/metrics'].includes(route), metrics, log })
    apiMetrics.attach({ pool, counters: createLiveCounters({ redis, prefix }) })
    onStop(() => apiMetrics.stop())

    const touches: Touches = {
      lead: (id) => (linearizable ? [cache.entries.lead.key({ id })] : []),
      approval: (id) => (linearizable ? [cache.entries.approval.key({ id })] : []),
      everything: () => (linearizable ? everything : []),
    }
    const server = createServerWrites(cache)
    const courier = options.courier && createHttpCourier({ ...options.courier, resilience, breaker: options.breaker })
    const sender =
      courier &&
      createSender({
        ...{ pool, courier, clock, log, baseMs: options.sendBaseMs },
        write: async (fn, id) => (await server.write(fn, { touches: touches.approval(id) })).result,
      })
    if (sender) onStop(() => sender.stop())

    const app = createApp({
      db: pool,
      database: createCallerDatabase({ errors: EngineError, pool: callerPool, cache }),
      server,
      reads: createCachedReads(cache),
      reports: createReports(cache.pools.analytics),
      leadUpdates,
      sender,
      touches,
      ops: createOps({
        ...{ metrics, cache, resilience, pools: [pool, cache.pools.analytics, callerPool] },
        listeners: () => leadUpdates.listeners,
      }),
      jwtSecret: options.jwtSecret,
      watch: (watched) => apiMetrics.watch(watched),
      onFailure: logFailures(log),
    })
    const reportsEveryMs = options.reportsEveryMs ?? 60_000
    const now = (): Date => new Date(clock.now())
    /** Caches are held up only where there is something to do. */
    const everywhere = (fn: (db: Db) => Promise<unknown>) => server.write(fn, { touches: touches.everything() })
    const schedule = createSchedule(
      {
        ...(sender && { send: { everyMs: 500, run: (signal: AbortSignal) => sender.drain(signal) } }),
        expire: {
          everyMs: 30_000,
          run: async () => (await areExpiring(pool, now())) && everywhere((db) => expireApprovals(db, now())),
        },
        assign: { everyMs: 30_000, run: async () => (await areWaiting(pool)) && everywhere((db) => assignWaiting(db)) },
        // One process in turn does it for all.
        reports: {
          everyMs: reportsEveryMs,
          run: () => pool.transaction((db) => refreshReports(db, reportsEveryMs * 0.9)),
        },
      },
      logFailedJobs(log),
    )
    onStop(() => schedule.stop())
    onStop(() => app.close())
    return { server: app, start: schedule.start, subscribeToLeadUpdates: leadUpdates.subscribeToLeadUpdates }
  })
