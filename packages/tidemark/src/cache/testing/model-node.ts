import type { Follower } from '../../feed/feed.js'
import { silentLogger } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'
import type { CachePool, EntryOptions, LoadClient, WriteOptions, Written } from '../cache.js'
import { cached } from '../cached.js'
import { Entry, type EntryParts } from '../entry/entry.js'
import { Flights } from '../entry/flights.js'
import { KeptValues } from '../entry/kept-values.js'
import { type AnyEntry, type ChangeListener, createCacheFollower } from '../follow/cache-follower.js'
import { FeedState } from '../follow/feed-state.js'
import { createMemoryTier, type MemoryTier } from '../memory/memory-tier.js'
import { parseTemplate } from '../plan/key-template.js'
import { type RuledEntry, Rules } from '../plan/rules.js'
import type { RedisTier } from '../redis/redis-tier.js'
import { Intents, type IntentsOptions } from '../write/intents.js'
import { Membership } from '../write/membership.js'
import { createWrite } from '../write/write.js'
import type { ModelClock, Step } from './model-clock.js'
import { modelParts } from './model-parts.js'

/** `value`: tags that only the value tells. */
export type RuleKind = 'key' | 'whole' | 'tag' | 'value'

/** Rules that a broken node does not keep. */
export interface BrokenNode {
  /** A change takes the value away, and not the load that is under way. */
  readonly keepsFlights?: boolean
  /** What a tag's change voids is kept all the same. */
  readonly keepsVoid?: boolean
  /** Whoever comes after a tag's change joins the load from before it. */
  readonly doubtsNothing?: boolean
  /** What Redis gives goes to memory, whatever came in between. */
  readonly promotesBlindly?: boolean
  /** Writes do not wait for other nodes. */
  readonly announcesToNobody?: boolean
  /** Answers from its tiers while a write is announced. */
  readonly holdsNothing?: boolean
  /** A value counts as loaded after everything. */
  readonly forgetsAsOf?: boolean
  /** The position of a write is that of before it. */
  readonly tokensFromBefore?: boolean
  /** Answers however old its proof is. */
  readonly trustsSilence?: boolean
  /** Lets go of what a write held before the values are gone. */
  readonly endsBeforeDrops?: boolean
}

/** Tells every node what one publishes: acknowledgements of writes. */
export class ModelBus {
  readonly #step: Step
  readonly #listeners = new Set<(message: string) => void>()

  constructor(step: Step) {
    this.#step = step
  }

  /** As much of Redis as acknowledgements need. */
  redis(): Redis {
    const redis: Pick<Redis, 'driver' | 'subscribe' | 'command'> = {
      driver: 'tcp',
      subscribe: async (_channels, listener) => {
        const own = (message: string) => listener(message, '')
        this.#listeners.add(own)
        return async () => void this.#listeners.delete(own)
      },
      command: async ([, , message]) => {
        for (const listener of this.#listeners) void this.#step('an acknowledgement comes').then(() => listener(String(message)))
        return 0 as never
      },
    }
    return redis as Redis
  }
}

export interface ModelNodeOptions {
  readonly clock: ModelClock
  readonly step: Step
  readonly pool: CachePool
  readonly redis: RedisTier
  readonly bus: ModelBus
  readonly rule: RuleKind
  readonly linearizable: boolean
  readonly mayBeStandby: boolean
  readonly broken?: BrokenNode
}

export interface ModelNode {
  readonly entry: Entry<{ readonly id: string }, number>
  readonly follower: Follower
  readonly feed: FeedState
  readonly membership: Membership
  readonly rules: Rules
  start(): Promise<void>
  write<T>(fn: (tx: LoadClient) => Promise<T>, options?: WriteOptions): Promise<Written<T>>
}

const fromOf = {
  key: { items: 'id' },
  whole: { items: true },
  tag: { items: { tag: 'item:{id}' } },
  value: { items: { tag: 'n:{n}' } },
} as const

type TagsOf = NonNullable<EntryOptions<{ readonly id: unknown }, number>['tags']>

const tagsOf: Readonly<Partial<Record<RuleKind, TagsOf>>> = {
  tag: ({ id }) => [`item:${id}`],
  value: (_params, n) => [`n:${n}`],
}

const definitionOf = (rule: RuleKind, linearizable: boolean) =>
  cached('item:{id}', {
    ttl: '1h',
    from: fromOf[rule],
    linearizable,
    ...(tagsOf[rule] && { tags: tagsOf[rule] }),
    load: async ({ id }, db: LoadClient) =>
      Number((await db.query<{ n: number }>('select n from items where id = $1', [id])).rows[0]?.n ?? 0),
  })

class ForgetfulValues<T> extends KeptValues<T> {
  override drop(key: string): boolean {
    return this.memory?.delete(key) ?? false
  }
}

class LenientValues<T> extends KeptValues<T> {
  override isVoid(): boolean {
    return false
  }
}

class TrustingValues<T> extends KeptValues<T> {
  override readonly flights = new (class extends Flights<T> {
    override doubt(): void {}
  })()
}

const valuesOf = ({ keepsFlights, keepsVoid, doubtsNothing }: BrokenNode): typeof KeptValues => {
  if (keepsFlights) return ForgetfulValues
  if (keepsVoid) return LenientValues
  return doubtsNothing ? TrustingValues : KeptValues
}

class HastyIntents extends Intents {
  constructor(options: IntentsOptions) {
    const query = async (text: string, values?: readonly unknown[]) => {
      const answer = await options.pool.query(text, values)
      return text.includes('as nodes') ? { ...answer, rows: [{ nodes: [] }] } : answer
    }
    super({ ...options, pool: { ...options.pool, query: query as CachePool['query'] } })
  }
}

const promotingBlindly = (redis: RedisTier, memory: MemoryTier, clock: ModelClock): RedisTier => ({
  leaseMs: redis.leaseMs,
  get: async (key, epoch) => {
    const found = await redis.get(key, epoch)
    const now = clock.monotonicMs()
    if (found)
      memory.set({ ...found, key, loadedAtMs: now, freshUntilMs: now + found.freshForMs, keptUntilMs: now + found.keptForMs })
    return found
  },
  getMany: (keys, epoch) => redis.getMany(keys, epoch),
  lease: (key, epoch, past) => redis.lease(key, epoch, past),
  fill: (...args) => redis.fill(...args),
  release: (key, token) => redis.release(key, token),
  purge: (purges) => redis.purge(purges),
})

const forgettingAsOf = (redis: RedisTier): RedisTier => ({
  leaseMs: redis.leaseMs,
  get: (key, epoch) => redis.get(key, epoch),
  getMany: (keys, epoch) => redis.getMany(keys, epoch),
  lease: (key, epoch, past) => redis.lease(key, epoch, past),
  fill: (key, epoch, token, value, stamp) => redis.fill(key, epoch, token, { ...value, asOf: 2n ** 60n }, stamp),
  release: (key, token) => redis.release(key, token),
  purge: (purges) => redis.purge(purges),
})

const telling = (listener: ChangeListener): ChangeListener => ({
  tables: listener.tables,
  apply: (piece) => listener.apply(piece),
  reset: () => listener.reset(),
  fresh: (asOf) => listener.fresh(asOf),
})

/** A node of the real parts, put together as `createCache` does. */
export const createModelNode = (options: ModelNodeOptions): ModelNode => {
  const { clock, pool, bus, rule, linearizable, mayBeStandby, broken = {} } = options
  const definition = definitionOf(rule, linearizable)
  const template = parseTemplate(definition.template)
  const ruled: RuledEntry = { name: 'item', template, from: definition.options.from ?? {}, forms: ['text'] }
  const rules = new Rules([ruled])
  const feed = new FeedState({ maxSilenceMs: broken.trustsSilence ? Number.POSITIVE_INFINITY : 1000, waitMs: 500, clock })
  const memory = createMemoryTier({ maxBytes: 1_000_000 })
  const membership = new Membership({ pool, clock, log: silentLogger })
  const intentsOptions: IntentsOptions = {
    node: membership.node,
    pool,
    redis: bus.redis(),
    channel: 'heard',
    maxSilenceMs: 1000,
    clock,
    log: silentLogger,
    onHeld: () => entry.detach(null),
  }
  const intents = broken.announcesToNobody ? new HastyIntents(intentsOptions) : new Intents(intentsOptions)
  const tier = broken.promotesBlindly ? promotingBlindly(options.redis, memory, clock) : options.redis
  const parts: EntryParts<{ readonly id: string }, number> = modelParts(definition as never, {
    memory,
    redis: broken.forgetsAsOf ? forgettingAsOf(tier) : tier,
    feed,
    isHeld: (key) => linearizable && !broken.holdsNothing && (!membership.isMember || intents.isHeld([key, 'public.items'])),
    mayBeStandby: () => mayBeStandby,
    pool,
    clock,
  })
  const Values = valuesOf(broken)
  const entry = new Entry(parts, new Values(parts))
  const others = linearizable ? [intents, membership] : []
  const inner = createCacheFollower({
    entries: new Map<string, AnyEntry>([['item', entry]]),
    rules,
    prefix: '',
    feed,
    others: broken.endsBeforeDrops ? others.map((other) => ({ ...telling(other), apply: async () => undefined })) : others,
    onDropped: () => undefined,
  })
  const hasty: Follower = {
    ...inner,
    apply: async (piece) => {
      for (const other of others) await other.apply(piece)
      await options.step('drops, after it let go')
      await inner.apply(piece)
    },
  }
  const write = createWrite({ pool, feed, intents: linearizable ? intents : null, tables: linearizable ? ['public.items'] : [] })
  return {
    entry,
    feed,
    membership,
    rules,
    follower: broken.endsBeforeDrops ? hasty : inner,
    start: () => intents.start(),
    write: async (fn, given) => {
      const before = feed.position
      const written = await write(fn, given)
      return broken.tokensFromBefore && before ? { ...written, position: before } : written
    },
  }
}
