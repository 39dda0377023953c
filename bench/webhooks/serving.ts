// A process that takes webhooks as the server does, and beside it bare Fastify routes: one that signs and appends, one that only
// answers. Started by bench/webhooks.ts, so that whoever asks does not share its thread.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import type { Redis as Ioredis } from 'ioredis'
import { createLogger } from '../../packages/tidemark/dist/observability/log.js'
import { createMetrics } from '../../packages/tidemark/dist/observability/metrics.js'
import { createNamedPool } from '../../packages/tidemark/dist/postgres/postgres.js'
import { createRedis } from '../../packages/tidemark/dist/redis/create-redis.js'
import { testUrl } from '../../packages/tidemark/dist/schema/testing/bootstrapped-template.js'
import { createHttp } from '../../packages/tidemark/dist/server/http/http.js'
import { addWebhookRoutes } from '../../packages/tidemark/dist/server/webhooks/webhook-routes.js'
import { openIntake } from '../../packages/tidemark/dist/webhooks/intake/intake.js'
import { generic, gohighlevel } from '../../packages/tidemark/dist/webhooks/providers/providers.js'
import type { Durability } from '../../packages/tidemark/dist/webhooks/webhooks.js'

export const webhookSecret = 'a secret of the benchmark'

/** Ports by contender. */
export interface WebhookAddresses {
  readonly redis: number
  readonly postgres: number
  readonly append: number
  readonly answer: number
}

const { WEBHOOKS_BENCH_POSTGRES: databaseUrl, WEBHOOKS_BENCH_REDIS: redisUrl, WEBHOOKS_BENCH_KEY: publicKey } = process.env
if (databaseUrl === undefined || redisUrl === undefined) throw new Error('this is started by bench/webhooks.ts')

const load = createRequire(import.meta.resolve('../../packages/tidemark/dist/server/http/http.js'))
const fastify: () => FastifyInstance = load('fastify')
const { Redis } = load('ioredis') as { Redis: new (url: string) => Ioredis }

const accepted = { status: 'accepted' }

/** How late the event loop is, in milliseconds: 99 of 100 looks since the last question. */
const addDelay = (app: FastifyInstance): void => {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  app.get('/delay', async () => {
    const p99Ms = delay.percentile(99) / 1e6
    delay.reset()
    return { p99Ms }
  })
}

const bareAnswer = (): FastifyInstance => {
  const app = fastify()
  addDelay(app)
  app.post('/webhooks/bench', async (_request, reply) => reply.code(200).send(accepted))
  app.get('/cpu', async () => process.cpuUsage())
  return app
}

/** What the samples of the web do: check, append, answer. It neither parses nor remembers what it has seen. */
const bareAppend = (): FastifyInstance => {
  const redis = new Redis(redisUrl)
  const app = fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post<{ Body: Buffer }>('/webhooks/bench', async (request, reply) => {
    const shown = Buffer.from(String(request.headers['x-bench-signature']), 'hex')
    const expected = createHmac('sha256', webhookSecret).update(request.body).digest()
    if (shown.length !== expected.length || !timingSafeEqual(shown, expected)) return reply.code(401).send()
    await redis.xadd('bench:bare', '*', 'provider', 'bench', 'payload', request.body, 'received_at', String(Date.now()))
    return reply.code(202).send(accepted)
  })
  app.addHook('onClose', async () => void redis.disconnect())
  return app
}

// Lines are made as in production, and written nowhere.
const log = createLogger({ level: 'info', destination: { write: () => undefined } })
const pool = createNamedPool('primary', { url: testUrl(databaseUrl, 'app') })
const provider = {
  ...generic({
    name: 'bench',
    signature: { header: 'x-bench-signature' },
    fields: { id: 'eventId', entityId: 'contact', type: 'event' },
  }),
  keys: [{ key: webhookSecret }],
}

// Signed with a public key, as GoHighLevel does it.
const providers = publicKey === undefined ? [provider] : [provider, { ...gohighlevel(), keys: [{ key: publicKey }] }]

const openTidemark = async (durability: Durability) => {
  const metrics = createMetrics()
  const redis = await createRedis({ url: redisUrl })
  const intake = await openIntake({ providers, pool, redis, durability, metrics, log })
  const app = await createHttp({ log, metrics })
  await addWebhookRoutes(app, { intake: () => intake, providers, ipHeader: undefined })
  app.addHook('onClose', async () => {
    await intake.stop()
    await redis.stop()
  })
  return app
}

const apps = {
  redis: await openTidemark('redis'),
  postgres: await openTidemark('postgres'),
  append: bareAppend(),
  answer: bareAnswer(),
}
for (const app of Object.values(apps)) await app.listen({ host: '127.0.0.1', port: 0 })
const addresses = Object.fromEntries(
  Object.entries(apps).map(([name, { server }]) => [name, (server.address() as AddressInfo).port]),
) as unknown as WebhookAddresses
process.stdout.write(`${JSON.stringify(addresses)}\n`)
process.once('SIGTERM', async () => {
  await Promise.all(Object.values(apps).map((app) => app.close()))
  await pool.stop()
  process.exit(0)
})
