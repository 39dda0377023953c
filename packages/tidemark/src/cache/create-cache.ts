/** Puts a cache together: entries over their tiers, the follower that keeps them right, and the writes that tell where they are. */
import { TidemarkError } from '../errors.js'
import type { FeedReset, Follower, TransactionPiece } from '../feed/feed.js'
import type { Position } from '../feed/position.js'
import { type Logger, type Signals, silentLogger } from '../observability/observability.js'
import type { Redis } from '../redis/redis.js'
import { type Clock, systemClock } from '../time/clock.js'
import type { CacheDefinition, CacheEntry, CacheFeed, CachePool, KeyPart, LoadClient, WriteOptions, Written } from './cache.js'
import { type AnyEntry, createCacheFollower } from './cache-follower.js'
import { type NodeReport, reportNode } from './cache-report.js'
import { formsOf, readColumnTypes } from './describe-columns.js'
import { Entry } from './entry.js'
import { EntryStats } from './entry-stats.js'
import { FeedState } from './feed-state.js'
import { Intents } from './intents.js'
import { refuseCollisions } from './key-collisions.js'
import { type KeyTemplate, parseTemplate } from './key-template.js'
import { Membership } from './membership.js'
import { createMemoryTier } from './memory/memory-tier.js'
import { createMemoryBudget } from './memory-budget.js'
import { startReporting } from './node-reports.js'
import { createKeyFinder } from './parse-key.js'
import { purgeRedis } from './purge.js'
import { createRedisTier } from './redis/create-redis-tier.js'
import type { EncryptionOptions } from './redis/value-cipher.js'
import { type ResolvedOptions, resolveOptions } from './resolve-options.js'
import { qualified, type RuledEntry, Rules } from './rules.js'
import { Sampler } from './sampler.js'
import { type CacheSession, Sessions } from './session.js'
import { Warming } from './warming.js'
import { createWrite } from './write.js'

// biome-ignore lint/suspicious/noExplicitAny: definitions of every kind stand side by side
export type Definitions = Readonly<Record<string, CacheDefinition<any, any>>>

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
  readonly encryption?: EncryptionOptions
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
  readonly onBeforePublish: ((pieces: readonly TransactionPiece[]) => Promise<void>) | undefined
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

interface Planned {
  readonly name: string
  readonly definition: Definitions[string]
  readonly template: KeyTemplate
  readonly options: ResolvedOptions
}

/** Warming on start waits so long for Redis. */
const shareWithinMs = 5000

const plan = (definitions: Definitions): readonly Planned[] =>
  Object.entries(definitions).map(([name, definition]) => {
    const template = parseTemplate(definition.template)
    return { name, definition, template, options: resolveOptions(definition.template, definition.options) }
  })

/** Makes a cache; `attach` it to a feed that its follower follows. Raises TM_CACHE_TEMPLATE, TM_CACHE_OPTION, TM_CACHE_RULE, TM_POSTGRES_*. */
export const createCache = async <const D extends Definitions>(given: CacheOptions<D>): Promise<Cache<D>> => {
  const {
    pool,
    prefix = '',
    maxSilenceMs = 1000,
    waitMs = 500,
    clock = systemClock,
    log = silentLogger,
    random = Math.random,
  } = given
  const redis = given.redis ?? null
  const planned = plan(given.entries)
  const tables = [...new Set(planned.flatMap(({ definition }) => Object.keys(definition.options.from ?? {}).map(qualified)))]
  const types = await readColumnTypes(pool, tables)
  const ruled = planned.map(
    ({ name, template, definition: { options } }): RuledEntry => ({
      name,
      template,
      from: options.from ?? {},
      forms: formsOf(template, options.from ?? {}, types),
    }),
  )
  refuseCollisions(ruled)
  const rules = new Rules(ruled)
  const feed = new FeedState({ maxSilenceMs, waitMs, clock })
  const sessions = new Sessions(feed, clock)
  let onKept = (): void => {}
  const hasRedis = redis !== null && redis.driver !== 'none'
  const tier = hasRedis ? createRedisTier({ redis, clock }) : null
  const sealed = hasRedis && given.encryption ? createRedisTier({ redis, clock, encryption: given.encryption }) : null
  for (const { template, options } of planned)
    if (options.encrypted && !given.encryption) {
      const expected = 'false, or give the cache keys to encrypt with'
      throw new TidemarkError('TM_CACHE_OPTION', { template: template.text, option: 'encrypted', value: 'true', expected })
    }

  const entries = new Map<string, AnyEntry>()
  const membership = new Membership({ pool, clock, log })
  const linear = planned.filter(({ options }) => options.linearizable)
  const followed = new Map(
    planned.map(({ name, definition }) => [name, Object.keys(definition.options.from ?? {}).map(qualified)]),
  )
  const intents = new Intents({
    node: membership.node,
    pool,
    redis,
    channel: `${prefix}tidemark:cache:heard`,
    maxSilenceMs,
    clock,
    log,
    onHeld: (touches) => {
      const names = new Set(touches)
      for (const { name } of linear) {
        if (followed.get(name)!.some((table) => names.has(table))) entries.get(name)!.detach(null)
        for (const each of touches) entries.get(name)!.detach(each)
      }
    },
  })
  const forgetRedis = redis?.onState(() => feed.redisChanged())
  let standby = false
  const probe = async (): Promise<void> => {
    const { rows } = await pool.query<{ standby: boolean }>('select pg_is_in_recovery() as standby')
    standby = rows[0]!.standby
  }
  await probe()

  const broadcast = async (kind: string, name: string): Promise<void> => {
    await pool.query('insert into tidemark.cache_evictions (kind, name) values ($1, $2)', [kind, name])
  }
  for (const { name, definition, template, options } of planned) {
    const names = followed.get(name)!
    const entry = new Entry<Readonly<Record<string, KeyPart>>, unknown>({
      name,
      definition,
      options,
      template,
      prefix,
      forms: ruled.find((each) => each.name === name)!.forms,
      memory:
        options.maxBytes > 0
          ? createMemoryTier({ maxBytes: options.maxBytes, maxEntries: options.maxEntries, eviction: options.eviction })
          : null,
      redis: options.memoryOnly ? null : options.encrypted ? sealed : tier,
      feed,
      isHeld: options.linearizable ? (key) => !membership.isMember || intents.isHeld([key, ...names]) : () => false,
      mayBeStandby: () => standby,
      pool,
      clock,
      stats: new EntryStats(),
      random,
      sessions,
      onKept: () => onKept(),
      onEvict: async (key) => {
        await Promise.all([broadcast('key', key), tier?.purge([{ key, xid: null }]).catch(() => undefined)])
      },
    })
    entries.set(name, entry)
  }

  const tiers = [...entries.values()].flatMap(({ memory }) => memory ?? [])
  if (given.maxBytes !== undefined) onKept = createMemoryBudget(given.maxBytes, tiers)
  const sampler = new Sampler({
    entries: [...entries.values()],
    feed,
    redis: hasRedis ? redis : null,
    prefix,
    everyMs: given.sampleEveryMs ?? 1000,
    clock,
    random,
    log,
    signals: given.signals,
  })
  const findKey = createKeyFinder(entries.values(), prefix)
  const report = (): NodeReport => reportNode(membership.node, entries, feed)
  let reporting: { stop(): Promise<void> } | undefined
  const warming = new Warming({ pool, clock, log })
  const hasLinear = linear.length > 0
  const inner = createCacheFollower({
    entries,
    rules,
    prefix,
    feed,
    others: hasLinear ? [intents, membership] : [],
    onDropped: (entry, params, wasInMemory) => warming.dropped(entry, params, wasInMemory),
  })
  const follower: Follower = {
    ...inner,
    reset: async (reset: FeedReset) => {
      await inner.reset!(reset)
      await probe().catch(() => undefined)
    },
  }
  const tidying = new AbortController()
  const running: Promise<unknown>[] = []
  const tidyEveryMs = 10_000
  const tidy = async (): Promise<void> => {
    while (!tidying.signal.aborted) {
      await clock.sleep(tidyEveryMs, tidying.signal).catch(() => undefined)
      if (!tidying.signal.aborted) await intents.tidy().catch(() => undefined)
      for (const entry of entries.values()) entry.memory?.sweep(clock.monotonicMs(), 10_000)
    }
  }

  /** What is loaded before is not kept; and not shared before Redis may be asked, which is not waited for long. */
  const untilFresh = async (): Promise<void> => {
    const endMs = clock.monotonicMs() + shareWithinMs
    const isReady = () => feed.isFresh && (!hasRedis || feed.redisEpoch !== null || clock.monotonicMs() > endMs)
    while (!isReady() && !tidying.signal.aborted) await clock.sleep(20, tidying.signal).catch(() => undefined)
  }
  const write = createWrite({
    pool,
    feed,
    intents: hasLinear ? intents : null,
    tables: [...new Set(linear.flatMap(({ name }) => followed.get(name)!))],
  })

  return {
    entries: Object.fromEntries(entries) as unknown as EntriesOf<D>,
    follower,
    onBeforePublish: tier ? (pieces) => purgeRedis({ rules, prefix, redis: tier }, pieces) : undefined,
    neededColumns: new Map(rules.tables.map((table) => [table, rules.columnsOf(table)])),
    attach: (source) => {
      feed.attach(source)
      running.push(tidy())
      if (hasLinear) {
        membership.start()
        running.push(intents.start())
      }
      running.push(untilFresh().then(() => warming.start([...entries.values()])))
      sampler.start()
      if (hasRedis) reporting ??= startReporting({ redis, prefix, clock, report })
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
      const found = findKey(key)
      const slot = found?.entry.inMemory(key)
      const nowMs = clock.monotonicMs()
      return slot && { bytes: slot.bytes, ageMs: nowMs - slot.loadedAtMs, freshForMs: slot.freshUntilMs - nowMs }
    },
    stop: async () => {
      forgetRedis?.()
      tidying.abort()
      warming.stop()
      sampler.stop()
      await reporting?.stop()
      if (hasLinear) await membership.stop()
      await intents.stop()
      await Promise.allSettled(running)
    },
  }
}
