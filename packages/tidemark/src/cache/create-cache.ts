/** Puts a cache together: entries over their tiers, the follower that keeps them right, and the writes that tell where they are. */
import type { FanOutOptions } from '../feed/fan-out/fan-out.js'
import type { FeedReset, Follower } from '../feed/feed.js'
import type { Position } from '../feed/position.js'
import { type Logger, type Signals, silentLogger } from '../observability/observability.js'
import type { Redis } from '../redis/redis.js'
import { type Clock, systemClock } from '../time/clock.js'
import type { CacheDefinition, CacheEntry, CacheFeed, CachePool, LoadClient, WriteOptions, Written } from './cache.js'
import type { EntryStats } from './entry/entry-stats.js'
import { openEntries } from './entry/open-entries.js'
import { createCacheFollower } from './follow/cache-follower.js'
import { purgeRedis } from './follow/purge.js'
import { createKeyFinder } from './plan/parse-key.js'
import { type Definitions, planCache } from './plan/plan-cache.js'
import { qualified } from './plan/rules.js'
import type { EncryptionOptions } from './redis/value-cipher.js'
import type { CacheSession } from './session/session.js'
import { type NodeReport, reportNode } from './upkeep/cache-report.js'
import { Upkeep } from './upkeep/upkeep.js'
import { createWrite } from './write/write.js'

export type { Definitions }

export type EntriesOf<D extends Definitions> = {
  readonly [K in keyof D]: D[K] extends CacheDefinition<infer P, infer V> ? CacheEntry<P, V> : never
}

export interface CacheOptions<D extends Definitions> {
  readonly entries: D
  readonly pool: CachePool
  /** Where values are shared. Default: nowhere. */
  readonly redis?: Redis | null
  /** Before every key: `staging:`. Default: nothing. */
  readonly prefix?: string
  /** How old a proof of freshness may be. Default 1,000. */
  readonly maxSilenceMs?: number
  /** How long a read waits for the position that it has to see. Default 500. */
  readonly waitMs?: number
  /** For entries that are `encrypted`. */
  readonly encryption?: EncryptionOptions | undefined
  /** Memory that all entries may take together. Default: the sum of what each may. */
  readonly maxBytes?: number
  /** How often a cached key is compared with Postgres; 0 never. Default 1,000. */
  readonly sampleEveryMs?: number
  /** Where a stale value is told, besides the log. */
  readonly signals?: Signals
  readonly clock?: Clock
  readonly log?: Logger
  /** From 0 up to 1. */
  readonly random?: () => number
}

export interface Cache<D extends Definitions> {
  readonly entries: EntriesOf<D>
  /** Register it with the feed. */
  readonly follower: Follower
  /** For the fan-out: takes out of Redis what the pieces change. Undefined where nothing is in Redis. */
  readonly purging: Required<Pick<FanOutOptions, 'onBeforePublish' | 'purges'>> | undefined
  /** Columns whose old values the feed has to tell, by `schema.table`. */
  readonly neededColumns: ReadonlyMap<string, readonly string[]>
  /** From now on the cache may answer. */
  attach(feed: Pick<CacheFeed, 'waitFor' | 'redisEpoch'>): void
  /** Runs a transaction and tells where it is; announced before where linearizable entries follow what it touches. */
  write<T>(fn: (tx: LoadClient) => Promise<T>, options?: WriteOptions): Promise<Written<T>>
  /**
   * Runs `fn` as a session: reads in it, however deep, see at least the position (of a client's last write), and writes in it move it on. A
   * position of another history is answered by Postgres.
   */
  session<T>(position: Position | undefined, fn: (session: CacheSession) => T): T
  /** Takes away every value with the tag, every value of an entry, or all that follow a table, on all nodes. */
  evict(what: { readonly tag: string } | { readonly entry: string } | { readonly table: string } | 'all'): Promise<void>
  /** Milliseconds since the cache was proven to have applied everything; Infinity where it never was. */
  freshness(): number
  position(): Position | null
  stats(): Readonly<Record<string, EntryStats>>
  /** All of it, as plain data. */
  report(): NodeReport
  /** What memory would answer for a key, by its whole name. */
  held(key: string): { readonly bytes: number; readonly ageMs: number; readonly freshForMs: number } | undefined
  /** What is in Redis is of this epoch or void; null while Redis is not asked. */
  redisEpoch(): string | null
  stop(): Promise<void>
}

/** Makes a cache; `attach` it to a feed that its follower follows. Raises TM_CACHE_TEMPLATE, TM_CACHE_OPTION, TM_CACHE_RULE, TM_POSTGRES_*. */
export const createCache = async <const D extends Definitions>(given: CacheOptions<D>): Promise<Cache<D>> => {
  const {
    pool,
    prefix = '',
    maxSilenceMs = 1000,
    waitMs = 500,
    encryption,
    maxBytes,
    sampleEveryMs = 1000,
    signals,
    clock = systemClock,
    log = silentLogger,
    random = Math.random,
  } = given
  const redis = given.redis ?? null
  const plan = await planCache(given.entries, pool, encryption !== undefined)
  const shared = { pool, prefix, clock, log, random }
  const opened = await openEntries({ ...shared, plan, redis, maxSilenceMs, waitMs, encryption, maxBytes })
  const { entries, feed, sessions, membership, intents, tier, probe, broadcast } = opened
  const { rules } = plan
  const linear = plan.entries.filter(({ options }) => options.linearizable)
  const isLinear = linear.length > 0
  const report = (): NodeReport => reportNode(membership.node, entries, feed)
  const upkeep = new Upkeep({ ...shared, ...opened, isLinear, redis: tier && redis, sampleEveryMs, report, signals })
  const forgetRedis = redis?.onState(() => feed.redisChanged())
  const follower = createCacheFollower({
    entries,
    rules,
    prefix,
    feed,
    others: isLinear ? [intents, membership] : [],
    onDropped: (entry, params, wasInMemory) => upkeep.warming.dropped(entry, params, wasInMemory),
  })
  const write = createWrite({
    pool,
    feed,
    intents: isLinear ? intents : null,
    tables: [...new Set(linear.flatMap(({ tables }) => tables))],
  })
  const findKey = createKeyFinder(entries.values(), prefix)

  return {
    entries: Object.fromEntries(entries) as unknown as EntriesOf<D>,
    follower: {
      ...follower,
      reset: async (reset: FeedReset) => {
        await follower.reset!(reset)
        await probe().catch(() => undefined)
      },
    },
    purging:
      tier === null
        ? undefined
        : {
            onBeforePublish: (pieces) => purgeRedis({ rules, prefix, redis: tier }, pieces),
            purges: rules.digest(prefix),
          },
    neededColumns: new Map(rules.tables.map((table) => [table, rules.columnsOf(table)])),
    attach: (source) => {
      feed.attach(source)
      upkeep.start()
    },
    write: async (fn, options) => {
      const written = await write(fn, options)
      sessions.wrote(written.position)
      return written
    },
    session: (position, fn) => sessions.run(position, fn),
    evict: async (what) => {
      const [kind, name] = what === 'all' ? ['all', ''] : (Object.entries(what)[0] as [string, string])
      await broadcast(kind, kind === 'table' ? qualified(name) : name)
    },
    freshness: () => feed.freshnessMs,
    position: () => feed.position,
    stats: () => Object.fromEntries([...entries].map(([name, { stats }]) => [name, stats])),
    report,
    redisEpoch: () => feed.redisEpoch,
    held: (key) => {
      const slot = findKey(key)?.entry.inMemory(key)
      const nowMs = clock.monotonicMs()
      return slot && { bytes: slot.bytes, ageMs: nowMs - slot.loadedAtMs, freshForMs: slot.freshUntilMs - nowMs }
    },
    stop: async () => {
      forgetRedis?.()
      await upkeep.stop()
    },
  }
}
