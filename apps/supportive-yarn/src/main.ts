/**
 * Starts the app: `node dist/main.js`. README.md says what each variable of its environment means.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import { createSchedule, logFailedJobs, openParts, runApp } from 'tidemark/app'
import { openStore, type Provider } from 'tidemark/store'
import { z } from 'zod'
import { createApp } from './app.js'
import type { Respond } from './chat.js'
import { cleanUp } from './clean-up.js'
import { failureOf } from './failure.js'
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
  RESPOND_MODULE: z.string().optional(),
  SESSION_IDLE_MINUTES: z.coerce.number().min(1).default(30),
  KEEP_COMPLETED_DAYS: z.coerce.number().int().min(1).default(30),
  KEEP_ABANDONED_DAYS: z.coerce.number().int().min(1).default(90),
  KEEP_LOG_DAYS: z.coerce.number().int().min(1).default(90),
  TRUSTED_PROXIES: z.coerce.number().int().min(0).default(0),
  NODE_ENV: z.string().default('development'),
}

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

/** The model that goes on after the four steps: the `respond` of a module, where one is named. */
const readRespond = async (module: string | undefined): Promise<Respond | undefined> => {
  if (module === undefined) return undefined
  const { respond } = (await import(pathToFileURL(resolve(module)).href)) as { readonly respond?: unknown }
  if (typeof respond !== 'function') throw new Error('RESPOND_MODULE names a module that exports no function `respond`.')
  return respond as Respond
}

await runApp({
  port: 8090,
  variables: environment,
  open: (settings, log) =>
    openParts(async (onStop) => {
      const store = await openYarnStore(settings)
      onStop(() => store.close())
      const wording = readWording(settings.WORDING_FILE)
      if (wording.approvedBy === null)
        log.warn('the wording is approved by nobody: it is not fit for young people yet', {
          file: settings.WORDING_FILE ?? 'en-au.json',
        })
      const respond = await readRespond(settings.RESPOND_MODULE)
      const server = createApp({
        store,
        wording,
        idleMs: settings.SESSION_IDLE_MINUTES * 60_000,
        trustedProxies: settings.TRUSTED_PROXIES,
        ...(respond && { respond }),
        chatPerMinute: settings.CHAT_PER_MINUTE,
        debug: settings.NODE_ENV !== 'production',
        onFailure: (error) => log.error('a turn went without its store or its model', { ...failureOf(error) }),
        ...(settings.HISTORY_TOKEN !== undefined && { historyToken: settings.HISTORY_TOKEN }),
      })
      onStop(() => server.close())
      const run = async (): Promise<void> => {
        const removed = await cleanUp(store, {
          completedDays: settings.KEEP_COMPLETED_DAYS,
          abandonedDays: settings.KEEP_ABANDONED_DAYS,
          logDays: settings.KEEP_LOG_DAYS,
        })
        if (Object.values(removed).some((count) => count > 0)) log.info('what was kept long enough is removed', { ...removed })
      }
      const schedule = createSchedule({ cleanup: { everyMs: cleanupEveryMs, run } }, logFailedJobs(log))
      onStop(() => schedule.stop())
      return { server, start: schedule.start, about: { writer: store.state().writer } }
    }),
})
