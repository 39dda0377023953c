/** Starts the app: `node dist/main.js`. README.md says what each variable means. */
import { isTidemarkError } from 'tidemark'
import { createLogger } from 'tidemark/log'
import { z } from 'zod'
import { smallestSecretBytes } from './access.js'
import { openAgents } from './open-agents.js'

const flag = z
  .enum(['true', 'false', '1', '0'])
  .default('true')
  .transform((value) => value === 'true' || value === '1')

const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(8009),
  HOST: z.string().default('127.0.0.1'),
  DATABASE_URL: z.string({ error: 'is missing' }),
  OWNER_DATABASE_URL: z.string().optional(),
  FEED_DATABASE_URL: z.string().optional(),
  SECONDARY_DATABASE_URL: z.string().optional(),
  REDIS_URL: z.string().optional(),
  CACHE_PREFIX: z.string().optional(),
  PUSHER_URL: z.string().optional(),
  SUPABASE_ENABLE_REALTIME: flag,
  SUPABASE_JWT_SECRET: z
    .string({ error: 'is missing' })
    .refine((secret) => Buffer.byteLength(secret) >= smallestSecretBytes, `has fewer than ${smallestSecretBytes} bytes`),
})

const parsed = environment.safeParse(process.env)
if (!parsed.success) {
  for (const { path, message } of parsed.error.issues) process.stderr.write(`${path.join('.')} ${message}\n`)
  process.exit(3)
}
const settings = parsed.data
const agents = await openAgents({
  database: settings.DATABASE_URL,
  owner: settings.OWNER_DATABASE_URL,
  replication: settings.FEED_DATABASE_URL,
  secondary: settings.SECONDARY_DATABASE_URL,
  redis: settings.REDIS_URL,
  cachePrefix: settings.CACHE_PREFIX,
  pusher: settings.PUSHER_URL,
  realtime: settings.SUPABASE_ENABLE_REALTIME,
  jwtSecret: settings.SUPABASE_JWT_SECRET,
  log: createLogger({ level: 'info' }),
}).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(isTidemarkError(error) ? error.exitCode : 1)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void agents.stop())
agents.jobs.start()
console.log(JSON.stringify({ url: await agents.app.listen({ port: settings.PORT, host: settings.HOST }) }))
