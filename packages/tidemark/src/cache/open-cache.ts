/** A cache on its own, without the server: connections, the feed and the cache itself. */
import { redisEpochAt } from '../feed/fan-out/fan-out.js'
import { createFanOut } from '../feed/fan-out/open-fan-out.js'
import { type FeedNode, openFeedNode } from '../feed/fan-out/open-feed-node.js'
import { outboxSources } from '../feed/fan-out/outbox-sources.js'
import { walSources } from '../feed/fan-out/wal-sources.js'
import type { Follower } from '../feed/feed.js'
import { installOutbox } from '../feed/sources/outbox/install-outbox.js'
import { tableIdOf } from '../feed/table-id.js'
import { silentLogger } from '../observability/observability.js'
import { type Client, connectPostgres, createPools, type Pools, type PoolsOptions } from '../postgres/postgres.js'
import { createRedis } from '../redis/create-redis.js'
import { platformSource } from '../schema/migration-files.js'
import { createMigrator } from '../schema/migrator.js'
import { sessionsOf } from '../schema/sessions.js'
import { type Cache, type CacheOptions, createCache, type Definitions } from './create-cache.js'
import { keepOldColumns } from './plan/keep-old-columns.js'

export interface OpenCacheOptions<D extends Definitions> extends Omit<CacheOptions<D>, 'pool' | 'redis'> {
  /** Address of the primary, for loads and writes. */
  readonly database: string
  /** The same with a login that owns the tables: it publishes them, and makes Tidemark's own where they are missing. Default: `database`. */
  readonly owner?: string | undefined
  /** The same with a login that may replicate. Default: `owner`. Where it may not, changes are caught by triggers. */
  readonly replication?: string | undefined
  /** Address of a Redis to share values in. Without one each process has its own memory. */
  readonly redis?: string | undefined
  /** Default: `wal` where the login may replicate, else `outbox`. */
  readonly source?: 'wal' | 'outbox'
  /** Sizes of the pools, further addresses, and who observes them. */
  readonly pools?: Omit<PoolsOptions, 'url'>
  /** What else reacts to changes. */
  readonly followers?: readonly Follower[]
  /** Names the slot and what is shared: processes of one cache have one. Default `cache`. */
  readonly name?: string
}

export interface OpenCache<D extends Definitions> extends Cache<D> {
  readonly node: FeedNode
  readonly pools: Pools
}

const withClient = async <T>(
  url: string,
  fn: (client: Awaited<ReturnType<typeof connectPostgres>>) => Promise<T>,
): Promise<T> => {
  const client = await connectPostgres({ url, name: 'cache' })
  try {
    return await fn(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** The log where it may be read, else triggers. */
const sourceKind = async (client: Pick<Client, 'query'>): Promise<'wal' | 'outbox'> => {
  const { rows } = await client.query<{ wal: boolean }>(
    `select current_setting('wal_level') = 'logical' and (rolreplication or rolsuper) as wal from pg_roles where rolname = current_user`,
  )
  return rows[0]?.wal ? 'wal' : 'outbox'
}

/** Tidemark's own tables; where they are, a login that may make none suffices. */
const install = async (url: string): Promise<void> => {
  const isThere = await withClient(url, async (client) => {
    const { rows } = await client.query<{ there: boolean }>("select to_regclass('tidemark.cache_evictions') is not null as there")
    return rows[0]?.there === true
  })
  if (isThere) return
  await createMigrator({ connect: sessionsOf({ url }), sources: [platformSource] }).up()
}

/**
 * Opens the connections, follows the tables and answers from then on. Makes Tidemark's own tables where they are missing. Raises
 * TM_CACHE_*, TM_POSTGRES_*, TM_SCHEMA_*.
 */
export const openCache = async <const D extends Definitions>(options: OpenCacheOptions<D>): Promise<OpenCache<D>> => {
  const {
    database: url,
    owner = url,
    replication = owner,
    name = 'cache',
    log = silentLogger,
    maxSilenceMs = 1000,
    clock,
    followers = [],
  } = options
  await install(owner)
  const pools = createPools({ ...options.pools, url })
  const redis = await createRedis(options.redis === undefined ? {} : { url: options.redis })
  const stops: (() => Promise<unknown>)[] = [() => redis.stop(), () => pools.stop()]
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each()
  }
  try {
    const cache = await createCache({ ...options, pool: pools.primary, redis })
    stops.push(() => cache.stop())
    const all = [cache.follower, ...followers]
    const tables = [...new Set(all.flatMap(({ tables }) => (tables === 'all' ? [] : tables)))].map(tableIdOf)
    const kind = options.source ?? (await withClient(replication, sourceKind))
    await withClient(owner, async (client) => {
      if (kind === 'wal') await keepOldColumns(client, cache.neededColumns, log)
      else await installOutbox(client, tables)
    })
    const shared = { tables, maxSilenceMs, log, ...(clock && { clock }) }
    const [target, adminTarget] = [
      { url: replication, name: 'cache feed' },
      { url: owner, name: 'cache feed' },
    ]
    const sources =
      kind === 'wal'
        ? walSources({ ...shared, target, adminTarget, slotName: name, publication: `tidemark_${name}` })
        : outboxSources({ ...shared, pool: pools.primary, name, install: async () => {}, listen: { url, name: 'cache feed' } })
    const connect = (purpose: string) => createRedis({ url: options.redis ?? '', name: purpose })
    const fanOut = createFanOut({
      sources,
      redis: { redis, connect },
      maxSilenceMs,
      log,
      ...(clock && { clock }),
      ...cache.purging,
    })
    const node = await openFeedNode({ fanOut, followers: all, log, ...(clock && { clock }) })
    stops.push(() => node.stop())
    cache.attach({
      waitFor: (position, wait) => node.feed.waitFor(position, { follower: 'cache', ...wait }),
      redisEpoch: () => redisEpochAt(node.state(), cache.position()),
    })
    return { ...cache, node, pools, stop }
  } catch (error) {
    await stop().catch(() => undefined)
    throw error
  }
}
