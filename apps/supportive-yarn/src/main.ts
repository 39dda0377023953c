/**
 * Starts the app: `node dist/main.js`. PORT, HOST, DATABASE_PROVIDER, SQLITE_PATH, DATABASE_URL, HISTORY_TOKEN, CHAT_PER_MINUTE, WORDING_FILE and
 * NODE_ENV say how; README.md says what each means.
 */
import { resolve } from 'node:path'
import { sql } from 'kysely'
import { createLogger } from 'tidemark/log'
import { openStore, type Provider } from 'tidemark/store'
import { z } from 'zod'
import { createApp } from './app.js'
import { cleanupOldSessions } from './repository.js'
import { sqliteSchema } from './sqlite-schema.js'
import type { Tables } from './tables.js'
import { readWording } from './wording.js'

const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(8090),
  HOST: z.string().default('127.0.0.1'),
  DATABASE_PROVIDER: z.enum(['sqlite', 'supabase', 'postgres']).optional(),
  SQLITE_PATH: z.string().default('chat_history.db'),
  DATABASE_URL: z.string().optional(),
  HISTORY_TOKEN: z.string().min(16).optional(),
  CHAT_PER_MINUTE: z.coerce.number().int().min(1).default(30),
  WORDING_FILE: z.string().optional(),
  NODE_ENV: z.string().default('development'),
})

const keepDays = 30
const cleanupEveryMs = 6 * 60 * 60_000

type Settings = z.infer<typeof environment>

const openYarnStore = async ({ DATABASE_PROVIDER, SQLITE_PATH, DATABASE_URL }: Settings) => {
  const store = await openStore<Tables>({
    sqlite: { path: resolve(SQLITE_PATH) },
    ...(DATABASE_URL !== undefined && { postgres: { url: DATABASE_URL } }),
    ...(DATABASE_PROVIDER !== undefined && { provider: DATABASE_PROVIDER satisfies Provider }),
    // The repository reads and writes what both stores give alike.
    columns: {},
  })
  if (store.state().writer === 'sqlite' && store.state().move === null) {
    await store.write(async (db) => {
      for (const statement of sqliteSchema.split(';').filter((text) => text.trim() !== '')) await sql.raw(statement).execute(db)
    })
  }
  return store
}

const settings = environment.parse(process.env)
const log = createLogger({ level: 'info' })
const store = await openYarnStore(settings)
const app = createApp({
  store,
  wording: readWording(settings.WORDING_FILE),
  chatPerMinute: settings.CHAT_PER_MINUTE,
  debug: settings.NODE_ENV !== 'production',
  onError: (error) => log.error('the store failed', { err: error }),
  ...(settings.HISTORY_TOKEN !== undefined && { historyToken: settings.HISTORY_TOKEN }),
})

const cleanup = setInterval(() => {
  store
    .write((db) => cleanupOldSessions(db, keepDays, new Date()))
    .then(
      (removed) => removed > 0 && log.info('old sessions removed', { removed }),
      (error: unknown) => log.warn('old sessions could not be removed', { err: error }),
    )
}, cleanupEveryMs)
cleanup.unref()

const stop = async (): Promise<void> => {
  clearInterval(cleanup)
  await app.close()
  await store.close()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())

console.log(JSON.stringify({ url: await app.listen({ port: settings.PORT, host: settings.HOST }), writer: store.state().writer }))
