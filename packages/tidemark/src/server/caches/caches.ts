/** The caches of the configuration, over the server's own connections and its feed. */
import type { Cache, Definitions } from '../../cache/create-cache.js'
import type { TidemarkConfig } from '../../config/config.js'
import { reasonOf } from '../../errors.js'
import { redisEpochAt } from '../../feed/fan-out/fan-out.js'
import type { FeedNode } from '../../feed/fan-out/open-feed-node.js'
import type { Logger } from '../../observability/observability.js'
import type { Observation } from '../observation/observation.js'
import type { Runtime } from '../runtime.js'

export interface ServerCaches {
  readonly cache: Cache<Definitions>
  /** From now on they may answer. Without it every read goes to Postgres. */
  attach(node: FeedNode): void
  stop(): Promise<void>
}

export interface ServerCachesOptions {
  readonly config: TidemarkConfig
  readonly runtime: Runtime
  readonly observation: Observation
  readonly log: Logger
}

export interface CacheName {
  readonly name: string
  readonly template: string
}

/** What a project caches. */
export const cacheNames = ({ caches }: TidemarkConfig): readonly CacheName[] =>
  Object.entries(caches).map(([name, { template }]) => ({ name, template }))

/** On one line, for people; empty where nothing is cached. */
export const cachesLine = (names: readonly CacheName[]): string =>
  names.map(({ name, template }) => `${name} (${template})`).join(', ')

/** Keys of values that are encrypted in Redis; undefined where there are none. */
export const encryptionOf = ({ cache: { encryptionKeys, encryptionKey } }: TidemarkConfig) =>
  encryptionKeys && encryptionKey !== undefined ? { keys: encryptionKeys, current: encryptionKey } : undefined

/** Old rows in the log have to tell the columns of keys; the outbox keeps whole rows. That it cannot be had costs speed, and is told. */
const keepColumns = async ({ config, runtime, log }: ServerCachesOptions, cache: Cache<Definitions>): Promise<void> => {
  const [{ keepOldColumns }, { sourceKind }, { connectPostgres }] = await Promise.all([
    import('../../cache/plan/keep-old-columns.js'),
    import('../feed/feed-sources.js'),
    import('../../postgres/postgres.js'),
  ])
  if ((await sourceKind(config, runtime.database)) !== 'wal') return
  const client = await connectPostgres({ ...runtime.database.target, name: 'cache' })
  try {
    await keepOldColumns(client, cache.neededColumns, log)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Raises TM_CACHE_* for definitions that cannot be kept, and TM_POSTGRES_*. */
export const openServerCaches = async (options: ServerCachesOptions): Promise<ServerCaches> => {
  const { config, runtime, observation } = options
  const log = options.log.child('cache')
  const [{ createCache }, { createCacheMetrics }] = await Promise.all([
    import('../../cache/create-cache.js'),
    import('../../cache/upkeep/cache-metrics.js'),
  ])
  const { prefix, waitMs, maxBytes, sampleEveryMs } = config.cache
  const encryption = encryptionOf(config)
  const cache = await createCache<Definitions>({
    // What is in a definition is for createCache to judge.
    entries: config.caches as unknown as Definitions,
    pool: runtime.pools.primary,
    redis: runtime.redis.redis,
    maxSilenceMs: config.feed.maxSilenceMs,
    waitMs,
    sampleEveryMs,
    signals: observation.signals,
    log,
    ...(prefix !== undefined && { prefix }),
    ...(maxBytes !== undefined && { maxBytes }),
    ...(encryption && { encryption }),
  })
  await keepColumns({ ...options, log }, cache).catch((error: unknown) =>
    log.warn('whether old rows tell the columns of cached keys is not known', { reason: reasonOf(error) }),
  )
  const forget = observation.onRefresh(createCacheMetrics(observation.metrics, cache).refresh)
  return {
    cache,
    attach: (node) =>
      cache.attach({
        waitFor: (position, wait) => node.feed.waitFor(position, { follower: cache.follower.name, ...wait }),
        redisEpoch: () => redisEpochAt(node.state(), cache.position()),
      }),
    stop: async () => {
      forget()
      await cache.stop()
    },
  }
}
