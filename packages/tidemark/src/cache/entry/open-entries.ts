/** Entries over their tiers, with what decides when they may answer: the feed, sessions, and writes that are announced. */
import type { Logger } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'
import type { Clock } from '../../time/clock.js'
import type { CachePool } from '../cache.js'
import type { AnyEntry } from '../follow/cache-follower.js'
import { FeedState } from '../follow/feed-state.js'
import type { MemoryTier } from '../memory/memory.js'
import { createMemoryBudget } from '../memory/memory-budget.js'
import { createMemoryTier } from '../memory/memory-tier.js'
import type { CachePlan, PlannedEntry } from '../plan/plan-cache.js'
import { createRedisTier } from '../redis/create-redis-tier.js'
import type { RedisTier } from '../redis/redis-tier.js'
import type { EncryptionOptions } from '../redis/value-cipher.js'
import { Sessions } from '../session/session.js'
import { Intents } from '../write/intents.js'
import { Membership } from '../write/membership.js'
import { Entry } from './entry.js'
import { EntryStats } from './entry-stats.js'

export interface OpenEntriesOptions {
  readonly plan: CachePlan
  readonly pool: CachePool
  readonly redis: Redis | null
  readonly prefix: string
  readonly maxSilenceMs: number
  readonly waitMs: number
  readonly encryption: EncryptionOptions | undefined
  /** Of memory, for all entries together. */
  readonly maxBytes: number | undefined
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
}

export interface OpenEntries {
  readonly entries: ReadonlyMap<string, AnyEntry>
  readonly feed: FeedState
  readonly sessions: Sessions
  readonly membership: Membership
  readonly intents: Intents
  /** What every value in Redis is taken out by; null where none is there. */
  readonly tier: RedisTier | null
  /** Asks once more whether loads are answered by a standby. */
  probe(): Promise<void>
  /** Tells all nodes of an eviction that no row causes, in its place among the changes. */
  broadcast(kind: string, name: string): Promise<void>
}

const openMemory = ({ options: { maxBytes, maxEntries, eviction } }: PlannedEntry): MemoryTier | null =>
  maxBytes > 0 ? createMemoryTier({ maxBytes, maxEntries, eviction }) : null

/** Raises TM_POSTGRES_*. */
export const openEntries = async (given: OpenEntriesOptions): Promise<OpenEntries> => {
  const { plan, pool, redis, prefix, maxSilenceMs, waitMs, encryption, clock, log, random } = given
  const entries = new Map<string, AnyEntry>()
  const feed = new FeedState({ maxSilenceMs, waitMs, clock })
  const sessions = new Sessions(feed, clock)
  const membership = new Membership({ pool, clock, log })
  const linear = plan.entries.filter(({ options }) => options.linearizable)
  const intents = new Intents({
    node: membership.node,
    pool,
    redis,
    channel: `${prefix}tidemark:cache:heard`,
    maxSilenceMs,
    clock,
    log,
    onHeld: (touches) => {
      const touched = new Set(touches)
      for (const { name, tables } of linear) {
        if (tables.some((table) => touched.has(table))) entries.get(name)!.detach(null)
        for (const each of touches) entries.get(name)!.detach(each)
      }
    },
  })

  let isStandby = false
  const probe = async (): Promise<void> => {
    const { rows } = await pool.query<{ standby: boolean }>('select pg_is_in_recovery() as standby')
    isStandby = rows[0]!.standby
  }
  await probe()
  const broadcast = async (kind: string, name: string): Promise<void> => {
    await pool.query('insert into tidemark.cache_evictions (kind, name) values ($1, $2)', [kind, name])
  }

  const hasRedis = redis !== null && redis.driver !== 'none'
  const tier = hasRedis ? createRedisTier({ redis, clock }) : null
  const sealed = hasRedis && encryption ? createRedisTier({ redis, clock, encryption }) : null
  const memories = new Map(plan.entries.map((planned) => [planned.name, openMemory(planned)]))
  const tiers = [...memories.values()].flatMap((memory) => memory ?? [])
  const onKept = given.maxBytes === undefined ? () => undefined : createMemoryBudget(given.maxBytes, tiers)
  for (const { name, definition, template, options, tables, forms } of plan.entries) {
    const entry = new Entry({
      name,
      definition,
      options,
      template,
      prefix,
      forms,
      memory: memories.get(name)!,
      redis: options.memoryOnly ? null : options.encrypted ? sealed : tier,
      feed,
      isHeld: options.linearizable ? (key) => !membership.isMember || intents.isHeld([key, ...tables]) : () => false,
      mayBeStandby: () => isStandby,
      pool,
      clock,
      stats: new EntryStats(),
      random,
      sessions,
      onKept,
      onEvict: async (key) => {
        await Promise.all([broadcast('key', key), tier?.purge([{ key, xid: null }]).catch(() => undefined)])
      },
    })
    entries.set(name, entry)
  }
  return { entries, feed, sessions, membership, intents, tier, probe, broadcast }
}
