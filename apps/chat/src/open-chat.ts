/** Puts the app together: Redis, cache and feed, routes, and the purge of deleted chats. */
import { createRedis, type Logger, openCache } from 'tidemark'
import {
  cachePlaces,
  createSchedule,
  type DatabaseSettings,
  logFailedJobs,
  logFailures,
  openParts,
  type RunningApp,
} from 'tidemark/app'
import { createApp } from './app.js'
import { chatCaches } from './caches.js'
import { purge } from './purge.js'
import { createCachedReads } from './reads.js'
import { loadSession } from './sessions.js'
import { createViewers } from './viewers.js'

export interface ChatSettings extends DatabaseSettings {
  readonly JWT_SECRET: string
  readonly UNDO_HOURS: number
}

/** Opens everything, or nothing. Raises TM_*. */
export const openChat = (settings: ChatSettings, log: Logger): Promise<RunningApp> =>
  openParts(async (onStop) => {
    const places = cachePlaces(settings)
    const redis = await createRedis(places.redis === undefined ? {} : { url: places.redis, log })
    onStop(() => redis.stop())
    const viewers = createViewers(redis, settings.CACHE_PREFIX)
    /** Nobody is shown a deleted chat. */
    const isViewed = async (id: string): Promise<boolean> =>
      (await viewers.isViewed(id)) && (await loadSession(cache.pools.primary, id)) !== null
    const entries = chatCaches({ encrypted: places.encryption !== undefined, isViewed })
    const cache = await openCache({ ...places, entries, name: 'chat', log })
    onStop(() => cache.stop())
    const writes = { write: cache.write }
    const server = createApp({
      db: cache.pools.primary,
      writes,
      reads: createCachedReads(cache, viewers),
      jwtSecret: settings.JWT_SECRET,
      undoMs: settings.UNDO_HOURS * 3_600_000,
      onFailure: logFailures(log),
    })
    onStop(() => server.close())
    const run = async (signal: AbortSignal): Promise<void> => {
      const removed = await purge(writes, signal)
      if (removed > 0) log.info('deleted chats purged', { removed })
    }
    const schedule = createSchedule({ purge: { everyMs: 3_600_000, run } }, logFailedJobs(log))
    onStop(() => schedule.stop())
    return { server, start: schedule.start }
  })
