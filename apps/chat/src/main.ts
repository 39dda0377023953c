/** Starts the app: `node dist/main.js`. README.md says what each variable means. */
import { createPools, isTidemarkError } from 'tidemark'
import { createLogger } from 'tidemark/log'
import { z } from 'zod'
import { smallestSecretBytes } from './access.js'
import { createApp } from './app.js'
import { limits } from './limits.js'
import { createPurge } from './purge.js'
import { createRepositoryWrites } from './writes.js'

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
})

const parsed = environment.safeParse(process.env)
if (!parsed.success) {
  for (const { path, message } of parsed.error.issues) process.stderr.write(`${path.join('.')} ${message}\n`)
  process.exit(3)
}
const settings = parsed.data

const log = createLogger({ level: 'info' })
const pools = createPools({ url: settings.DATABASE_URL, statementTimeoutMs: 10_000 })
const writes = createRepositoryWrites(pools.primary)
const app = createApp({
  db: pools.primary,
  writes,
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
  await pools.stop()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())

purge.start()
console.log(JSON.stringify({ url: await app.listen({ port: settings.PORT, host: settings.HOST }) }))
