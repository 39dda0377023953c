/**
 * Starts the app: `node dist/main.js`. PORT, HOST, DATABASE_PROVIDER, SQLITE_PATH, DATABASE_URL, HISTORY_TOKEN, CHAT_PER_MINUTE, WORDING_FILE and
 * NODE_ENV say how; README.md says what each means.
 */
import { resolve } from 'node:path'
import { sql } from 'kysely'
import { createSchedule, logFailedJobs, openParts, runApp } from 'tidemark/app'
import { openStore, type Provider } from 'tidemark/store'
import { z } from 'zod'
import { createApp } from './app.js'
import { cleanupOldSessions } from './repository.js'
import { sqliteSchema } from './sqlite-schema.js'
import type { Tables } from './tables.js'
import { readWording } from './wording.js'

const environment = {
  DATABASE_PROVIDER: z.enum(['sqlite', 'supabase', 'postgres']).optional(),
  SQLITE_PATH: z.string().default('chat_history.db'),
  DATABASE_URL: z.string().optional(),
  HISTORY_TOKEN: z.string().min(16).optional(),
  CHAT_PER_MINUTE: z.coerce.number().int().min(1).default(30),
  WORDING_FILE: z.string().optional(),
  NODE_ENV: z.string().default('development'),
}

const keepDays = 30
const cleanupEveryMs = 6 * 60 * 60_000

type Settings = z.infer<z.ZodObject<typeof environment>>

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

await runApp({
  port: 8090,
  variables: environment,
  open: (settings, log) =>
    openParts(async (onStop) => {
      const store = await openYarnStore(settings)
      onStop(() => store.close())
      const server = createApp({
        store,
        wording: readWording(settings.WORDING_FILE),
        chatPerMinute: settings.CHAT_PER_MINUTE,
        debug: settings.NODE_ENV !== 'production',
        onError: (error) => log.error('the store failed', { err: error }),
        ...(settings.HISTORY_TOKEN !== undefined && { historyToken: settings.HISTORY_TOKEN }),
      })
      onStop(() => server.close())
      const run = async (): Promise<void> => {
        const removed = await store.write((db) => cleanupOldSessions(db, keepDays, new Date()))
        if (removed > 0) log.info('old sessions removed', { removed })
      }
      const schedule = createSchedule({ cleanup: { everyMs: cleanupEveryMs, run } }, logFailedJobs(log))
      onStop(() => schedule.stop())
      return { server, start: schedule.start, about: { writer: store.state().writer } }
    }),
})
