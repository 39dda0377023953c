import { createHmac, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createLogger } from '../../observability/log.js'
import { createMetrics } from '../../observability/metrics.js'
import type { Metrics, Signal } from '../../observability/observability.js'
import { createSignals } from '../../observability/signals.js'
import { createNamedPool, type Pool } from '../../postgres/postgres.js'
import { createAbsentRedis } from '../../redis/absent-redis.js'
import { createRedis } from '../../redis/create-redis.js'
import type { Redis } from '../../redis/redis.js'
import type { Clock } from '../../time/clock.js'
import { type Intake, type IntakeOptions, openIntake } from '../../webhooks/intake/intake.js'
import { lofty, type Provider, rollout } from '../../webhooks/providers/providers.js'
import { createHttp } from '../http/http.js'
import { addWebhookRoutes } from '../webhooks/webhook-routes.js'

export const rolloutSecret = 'rollout-test-secret'
export const loftySecret = 'x'.repeat(22) + 'Y'.repeat(21)

/** Providers with keys of tests. */
export const testProviders = (): readonly Provider[] => [
  { ...rollout(), keys: [{ key: rolloutSecret, id: 'main' }] },
  { ...lofty(), keys: [{ key: loftySecret }] },
]

export const signRollout = (body: string | Buffer, secret = rolloutSecret): Readonly<Record<string, string>> => ({
  'x-rollout-signature': createHmac('sha256', secret)
    .update(Buffer.from(body as string).toString('base64'))
    .digest('hex'),
})

/** An event of Rollout that nobody has seen. */
export const rolloutEvent = (more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    eventId: randomUUID(),
    eventCreated: '2026-07-02T15:19:21+00:00',
    event: 'peopleUpdated',
    resourceIds: ['7'],
    ...more,
  })

export interface Answered {
  readonly status: number
  readonly body: string
  readonly headers: Headers
}

export interface WebhookServer {
  readonly url: string
  readonly port: number
  readonly intake: Intake
  readonly pool: Pool
  readonly redis: Redis
  readonly metrics: Metrics
  readonly signals: readonly Signal[]
  /** Everything that was logged, as text. */
  readonly logged: readonly string[]
  post(path: string, body: string | Buffer, headers?: Readonly<Record<string, string>>): Promise<Answered>
  /** A signed event of Rollout. */
  rollout(body?: string): Promise<Answered>
  stop(): Promise<void>
}

export interface WebhookServerOptions extends Partial<Omit<IntakeOptions, 'pool' | 'redis'>> {
  readonly databaseUrl: string
  /** Without it there is no Redis. */
  readonly redisUrl?: string | undefined
  readonly clock?: Clock
  readonly ipHeader?: string
}

/** A server that takes webhooks, as the role of that name mounts it. */
export const startWebhookServer = async (options: WebhookServerOptions): Promise<WebhookServer> => {
  const { databaseUrl, redisUrl, ipHeader, providers = testProviders(), ...rest } = options
  const logged: string[] = []
  const signals: Signal[] = []
  const log = createLogger({ level: 'debug', destination: { write: (line: string) => void logged.push(line) } as never })
  const metrics = createMetrics()
  const bus = createSignals()
  bus.listen((signal) => void signals.push(signal))
  const pool = createNamedPool('primary', {
    url: databaseUrl,
    pools: { primary: { minConnections: 0, connectTimeoutMs: 1000 } },
    retry: { attempts: 1 },
  })
  const redis =
    redisUrl === undefined
      ? createAbsentRedis()
      : await createRedis({ url: redisUrl, commandTimeoutMs: 500, connectTimeoutMs: 500, retryMaxMs: 100 })
  const intake = await openIntake({ providers, pool, redis, metrics, signals: bus, log, ...rest }).catch(
    async (error: unknown) => {
      await redis.stop()
      await pool.stop()
      throw error
    },
  )
  const app = await createHttp({ log, metrics })
  await addWebhookRoutes(app, { intake: () => intake, providers, ipHeader })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`

  const post: WebhookServer['post'] = async (path, body, headers = {}) => {
    const answer = await fetch(`${url}${path}`, {
      method: 'POST',
      body: new Uint8Array(Buffer.from(body as string)),
      headers: { 'content-type': 'application/json', ...headers },
    })
    return { status: answer.status, body: await answer.text(), headers: answer.headers }
  }

  return {
    url,
    port,
    intake,
    pool,
    redis,
    metrics,
    signals,
    logged,
    post,
    rollout: (body = rolloutEvent()) => post('/webhooks/rollout', body, signRollout(body)),
    stop: async () => {
      await app.close()
      await intake.stop()
      await redis.stop()
      await pool.stop()
    },
  }
}
