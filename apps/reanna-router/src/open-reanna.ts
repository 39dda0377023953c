/** Puts the app together: databases, caches and feed, other systems, calls to them, and routes. */
import {
  createLimiter,
  createNamedPool,
  createRedis,
  createSignals,
  type Logger,
  openCache,
  type Position,
  silentLogger,
} from 'tidemark'
import {
  type CachePlaces,
  createHandlers,
  createSchedule,
  logFailedJobs,
  logFailures,
  openParts,
  openWorkers,
  type RunningApp,
  type WorkerSettings,
} from 'tidemark/app'
import { tellOfServices } from './alerting.js'
import { createApp } from './app.js'
import { reannaCaches } from './caches.js'
import { createCallerDatabase } from './caller-database.js'
import { createCalls } from './calls/calls.js'
import { createHttpCrm } from './calls/crm.js'
import { callHandlers } from './calls/handlers.js'
import { createHttpService, type HttpService, limitOf } from './calls/http-service.js'
import { createHttpNotifier } from './calls/notifier.js'
import { createGoogleRouting } from './calls/routing.js'
import { createOps } from './ops.js'
import { createCachedReads } from './reads.js'
import { webhookHandlers } from './webhook-handlers.js'

/** Another system and the secret that it wants. */
export interface ServicePlace {
  readonly url: string
  readonly key?: string | undefined
}

export interface ReannaOptions extends Partial<Omit<CachePlaces, 'encryption'>> {
  /** As the server's role. */
  readonly database: string
  /** The same with a login that may become the roles of callers. */
  readonly callers: string
  /** HS256; at least 32 bytes. */
  readonly jwtSecret: string
  /** Requests of one caller in an hour. */
  readonly requestsPerHour: number
  /** Google's Routes API, or what speaks like it. */
  readonly routing?: ServicePlace | undefined
  readonly crm?: ServicePlace | undefined
  readonly sms?: ServicePlace | undefined
  readonly voice?: ServicePlace | undefined
  /** Failures in a row of a minute that open a breaker, and how long it stays open at first. */
  readonly breaker?: { readonly failureThreshold: number; readonly recoveryTimeoutMs: number }
  /** How webhooks are handled; left out: another process does it. */
  readonly webhooks?: { readonly partitions: number; readonly settings: Partial<WorkerSettings> } | undefined
  readonly callAttempts?: number
  readonly callBaseMs?: number
  readonly log?: Logger
}

/** What vendors allow: a minute's calls. */
const callsPerMinute = { routing: 600, crm: 600, sms: 300, voice: 60 } as const

const hourMs = 3_600_000

/** How long a write waits for caches here to let go of what was before; reads that bring its position wait by themselves. */
const settleMs = 500

/** Calls that ended are kept as long, for those who ask what became of them. */
const keepCalls = `delete from reanna.calls where status in ('done', 'failed') and updated_at < now() - interval '30 days'`

const bearer = ({ key }: ServicePlace): Readonly<Record<string, string>> =>
  key === undefined ? {} : { authorization: `Bearer ${key}` }

/** Opens everything, or nothing. Raises TM_*. */
export const openReanna = (options: ReannaOptions): Promise<RunningApp> =>
  openParts(async (onStop) => {
    const { database, owner, replication, redis, prefix = '', log = silentLogger, jwtSecret } = options
    const signals = createSignals({ log })
    const cache = await openCache({
      ...{ database, owner, replication, redis, prefix, signals, log },
      entries: reannaCaches,
      name: 'reanna',
    })
    onStop(() => cache.stop())
    const pool = cache.pools.primary
    onStop(tellOfServices(signals, pool, log))
    const callerPool = createNamedPool('rest', {
      url: options.callers,
      pools: { rest: { minConnections: 1, maxConnections: 20 } },
    })
    onStop(() => callerPool.stop())

    const settled = async (): Promise<Position | undefined> => {
      const { position } = await cache.write(async () => undefined)
      await cache.node.feed.waitFor(position, { follower: 'cache', timeoutMs: settleMs }).catch(() => undefined)
      return position
    }

    const open = (
      service: keyof typeof callsPerMinute,
      place: ServicePlace | undefined,
      headersOf: (place: ServicePlace) => Readonly<Record<string, string>> = bearer,
    ): HttpService | undefined =>
      place &&
      createHttpService({
        ...{ service, url: place.url, headers: headersOf(place), signals, log },
        limiter: limitOf(service, { calls: callsPerMinute[service], windowMs: 60_000 }),
        ...(options.breaker && { breakerRules: options.breaker }),
      })
    const routes = open(
      'routing',
      options.routing,
      ({ key }): Readonly<Record<string, string>> => (key ? { 'x-goog-api-key': key } : {}),
    )
    const crmService = open('crm', options.crm)
    const sms = open('sms', options.sms)
    const voice = open('voice', options.voice)
    const crm = crmService && createHttpCrm(crmService)

    const calls = createCalls({
      pool,
      handlers: callHandlers({ crm, notifier: createHttpNotifier(sms, voice) }),
      log,
      ...(options.callAttempts !== undefined && { attempts: options.callAttempts }),
      ...(options.callBaseMs !== undefined && { baseMs: options.callBaseMs }),
    })
    const inbound = { service: 'api', limit: options.requestsPerHour, window_ms: hourMs }
    const server = createApp({
      db: pool,
      database: createCallerDatabase({ pool: callerPool, settled }),
      reads: createCachedReads(cache),
      calls,
      ops: createOps({ pool, services: [routes, crmService, sms, voice].filter((service) => service !== undefined), inbound }),
      routing: routes && createGoogleRouting(routes),
      hasCrm: crm !== undefined,
      jwtSecret,
      limiter: createLimiter({ name: inbound.service, limit: inbound.limit, windowMs: inbound.window_ms }),
      onFailure: logFailures(log),
    })
    const schedule = createSchedule(
      {
        calls: { everyMs: 500, run: (signal) => calls.drain(signal) },
        'old calls': { everyMs: 6 * hourMs, run: () => pool.query(keepCalls) },
      },
      logFailedJobs(log),
    )
    if (options.webhooks) {
      const { partitions, settings } = options.webhooks
      const connect = (name: string) => createRedis(redis === undefined ? { name } : { url: redis, name, log })
      const streams = await connect('reanna webhooks')
      onStop(() => streams.stop())
      const handlers = createHandlers(webhookHandlers)
      const workers = await openWorkers({ pool, redis: streams, connect, handlers, partitions, settings, signals, log })
      onStop(() => workers.stop())
    }
    onStop(() => calls.stop())
    onStop(() => schedule.stop())
    onStop(() => server.close())
    return { server, start: schedule.start }
  })
