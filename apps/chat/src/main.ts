/** Starts the app: `node dist/main.js`. README.md says what each variable means. */
import { createRedis, isTidemarkError, openCache } from 'tidemark'
import { createLogger } from 'tidemark/log'
import { z } from 'zod'
import { smallestSecretBytes } from './access.js'
import { createApp } from './app.js'
import { chatCaches } from './caches.js'
import { limits } from './limits.js'
import { createPurge } from './purge.js'
import { createCachedReads } from './reads.js'
import { loadSession } from './sessions.js'
import { createViewers } from './viewers.js'

const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(8091),
  HOST: z.string().default('127.0.0.1'),
  DATABASE_URL: z.string({ error: 'is missing' }),
  JWT_SECRET: z
    .string({ error: 'is missing' })
    .refine((secret) => Buffer.byteLength(secret) >= smallestSecretBytes, `has fewer than ${smallestSecretBytes} bytes`),
  UNDO_HOURS: z.coerce
    .number()
    .min(0)
    .max(24 * 3650)
    .default(limits.undoMs / 3_600_000),
  REDIS_URL: z.string().optional(),
  OWNER_DATABASE_URL: z.string().optional(),
  FEED_DATABASE_URL: z.string().optional(),
  CACHE_PREFIX: z.string().default(''),
  CACHE_KEY: z.string().optional(),
})

const parsed = environment.safeParse(process.env)
if (!parsed.success) {
  for (const { path, message } of parsed.error.issues) process.stderr.write(`${path.join('.')} ${message}\n`)
  process.exit(3)
}
const settings = parsed.data

const log = createLogger({ level: 'info' })
const redis = await createRedis(settings.REDIS_URL === undefined ? {} : { url: settings.REDIS_URL, log })
const viewers = createViewers(redis, settings.CACHE_PREFIX)
/** Nobody is shown a deleted chat. */
const isViewed = async (id: string): Promise<boolean> =>
  (await viewers.isViewed(id)) && (await loadSession(cache.pools.primary, id)) !== null
const entries = chatCaches({ encrypted: settings.CACHE_KEY !== undefined, isViewed })
const cache = await openCache({
  entries,
  name: 'chat',
  database: settings.DATABASE_URL,
  prefix: settings.CACHE_PREFIX,
  log,
  ...(settings.REDIS_URL !== undefined && { redis: settings.REDIS_URL }),
  ...(settings.OWNER_DATABASE_URL !== undefined && { owner: settings.OWNER_DATABASE_URL }),
  ...(settings.FEED_DATABASE_URL !== undefined && { replication: settings.FEED_DATABASE_URL }),
  ...(settings.CACHE_KEY !== undefined && { encryption: { keys: { one: settings.CACHE_KEY }, current: 'one' } }),
}).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(isTidemarkError(error) ? error.exitCode : 1)
})
const writes = { write: cache.write }
const app = createApp({
  db: cache.pools.primary,
  writes,
  reads: createCachedReads(cache, viewers),
  jwtSecret: settings.JWT_SECRET,
  undoMs: settings.UNDO_HOURS * 3_600_000,
  // Codes only: what Postgres says of a row may quote it.
  onFailure: ({ error, code, route, requestId }) =>
    log.error('a request failed', { code, route, requestId, cause: isTidemarkError(error) ? error.code : 'unexpected' }),
})
const purge = createPurge({
  writes,
  onPurged: (removed) => log.info('deleted chats purged', { removed }),
  onError: (error) =>
    log.warn('deleted chats could not be purged', { cause: isTidemarkError(error) ? error.code : 'unexpected' }),
})

const stop = async (): Promise<void> => {
  await purge.stop()
  await app.close()
  await cache.stop()
  await redis.stop()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())

purge.start()
console.log(JSON.stringify({ url: await app.listen({ port: settings.PORT, host: settings.HOST }) }))
