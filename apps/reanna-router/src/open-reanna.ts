/** Puts the app together: databases, caches and feed, other systems, calls to them, webhooks, and routes. */
import {
  createApiMetrics,
  createHandlers,
  createLiveCounters,
  createNamedPool,
  createRedis,
  createReplays,
  createSignals,
  type Logger,
  openCache,
  openResilience,
  openWorkers,
  silentLogger,
  type WorkerSettings,
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
import { reannaCaches } from './caches.js'
import { createCalls } from './calls/calls.js'
import { createHttpCrm } from './calls/crm.js'
import { callHandlers } from './calls/handlers.js'
import { createHttpNotifier } from './calls/notifier.js'
import { createGoogleRouting } from './calls/routing.js'
import { openServices, type ServicePlaces } from './open-services.js'
import { createOps } from './ops.js'
import { createCachedReads } from './reads.js'
import { ReannaError } from './reanna-error.js'
import { webhookHandlers } from './webhook-handlers.js'

export interface ReannaOptions extends Partial<Omit<CachePlaces, 'encryption'>>, ServicePlaces {
  /** As the server's role. */
  readonly database: string
  /** The same with a login that may become the roles of callers. */
  readonly callers: string
  /** HS256; at least 32 bytes. */
  readonly jwtSecret: string
  /** Requests of one caller in an hour. */
  readonly requestsPerHour: number
  /** Where what breakers did waits while Postgres is away. */
  readonly folder: string
  /** Failures that open a breaker, and how long it stays open at first. */
  readonly breaker: { readonly failureThreshold: number; readonly recoveryTimeoutMs: number }
  /** How webhooks are handled; left out: another process does it. */
  readonly webhooks?: { readonly partitions: number; readonly settings: Partial<WorkerSettings> } | undefined
  readonly callAttempts?: number | undefined
  readonly callBaseMs?: number | undefined
  readonly log?: Logger
}

const hourMs = 3_600_000

/** Calls that ended are kept as long, for those who ask what became of them. */
const forgetCalls = `delete from reanna.calls where status in ('done', 'failed') and updated_at < now() - interval '30 days'`

/** Failures are counted over a minute. One call that succeeds closes. */
const breakerRules = { windowMs: 60_000, successesToClose: 1 } as const

/** Opens everything, or nothing. Raises TM_*. */
export const openReanna = (options: ReannaOptions): Promise<RunningApp> =>
  openParts(async (onStop) => {
    const { database, owner, replication, redis: url, prefix = '', folder, log = silentLogger, jwtSecret } = options
    const signals = createSignals({ log })
    const cache = await openCache({
      ...{ database, owner, replication, redis: url, prefix, signals, log },
      entries: reannaCaches,
      name: 'reanna',
    })
    onStop(() => cache.stop())
    const pool = cache.pools.primary
    const callerPool = createNamedPool('rest', {
      url: options.callers,
      pools: { rest: { minConnections: 1, maxConnections: 20, connectTimeoutMs: 5_000 } },
    })
    onStop(() => callerPool.stop())
    const connect = (name: string) => createRedis(url === undefined ? { name } : { url, name, log })
    const redis = await connect('reanna')
    onStop(() => redis.stop())
    onStop(tellOfServices(signals, pool, log))
    const resilience = await openResilience({ redis, pool, folder, prefix, signals, log })
    onStop(() => resilience.stop())
    const apiMetrics = createApiMetrics({ isLeftOut: (route) => route === '/health' || route === '/livez', log })
    apiMetrics.attach({ pool, counters: createLiveCounters({ redis, prefix }) })
    onStop(() => apiMetrics.stop())

    const { routing, crm: crmService, sms, voice } = openServices(options, resilience, { ...breakerRules, ...options.breaker })
    const crm = crmService && createHttpCrm(crmService)
    const calls = createCalls({
      pool,
      handlers: callHandlers({ crm, notifier: createHttpNotifier(sms, voice) }),
      attempts: options.callAttempts,
      baseMs: options.callBaseMs,
      log,
    })
    onStop(() => calls.stop())
    // What waits for a sick service waits no longer than that.
    onStop(
      signals.listen(({ name }) => {
        if (name === 'breaker.closed') void calls.resume().catch(() => undefined)
      }),
    )
    if (options.webhooks) {
      const handlers = createHandlers(webhookHandlers)
      const workers = await openWorkers({ ...options.webhooks, pool, redis, connect, handlers, signals, log })
      onStop(() => workers.stop())
    }

    const server = createApp({
      db: pool,
      database: createCallerDatabase({ errors: ReannaError, pool: callerPool, cache }),
      reads: createCachedReads(cache),
      calls,
      ops: createOps({ pool, resilience }),
      replays: createReplays(pool),
      routing: routing && createGoogleRouting(routing),
      hasCrm: crm !== undefined,
      jwtSecret,
      limiter: resilience.limiter({ name: 'api', limit: options.requestsPerHour, windowMs: hourMs }),
      watch: (app) => apiMetrics.watch(app),
      onFailure: logFailures(log),
    })
    const schedule = createSchedule(
      {
        calls: { everyMs: 500, run: (signal) => calls.drain(signal) },
        'old calls': { everyMs: 6 * hourMs, run: () => pool.query(forgetCalls) },
      },
      logFailedJobs(log),
    )
    onStop(() => schedule.stop())
    onStop(() => server.close())
    return { server, start: schedule.start }
  })
