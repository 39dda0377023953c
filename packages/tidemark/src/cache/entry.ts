/** One entry at work: memory, then Redis, then Postgres; what is kept has passed the fence. */
import { isTidemarkError } from '../errors.js'
import type { Clock } from '../time/clock.js'
import type { Answer, CacheDefinition, CacheEntry, CachePool, GetOptions, KeyPart } from './cache.js'
import type { EntryStats } from './entry-stats.js'
import type { FeedState } from './feed-state.js'
import { type Flight, Flights } from './flights.js'
import type { KeyTemplate, PartForm } from './key-template.js'
import { Loader, type Loaded as Read, type Stamp, sees } from './load-value.js'
import type { MemorySlot, MemoryTier } from './memory/memory.js'
import type { NewValue, RedisTier, RedisValue } from './redis-tier.js'
import type { ResolvedOptions } from './resolve-options.js'
import type { Sessions } from './session.js'
import { type FrozenValue, freezeDeep } from './value.js'
import { Voids } from './voids.js'

export interface EntryParts<P, V> {
  readonly name: string
  readonly definition: CacheDefinition<P, V>
  readonly options: ResolvedOptions
  readonly template: KeyTemplate
  /** Before every key. */
  readonly prefix: string
  readonly forms: readonly PartForm[]
  readonly memory: MemoryTier | null
  readonly redis: RedisTier | null
  readonly feed: FeedState
  /** True while a write that touches the key is announced: nothing is answered from, or kept in, any tier. */
  readonly isHeld: (key: string, entry: string) => boolean
  /** True where loads may be answered by a standby. */
  readonly mayBeStandby: () => boolean
  readonly pool: CachePool
  readonly clock: Clock
  readonly stats: EntryStats
  readonly random: () => number
  readonly onEvict: (key: string) => Promise<void>
  readonly sessions: Sessions
  /** A value was put into memory. */
  readonly onKept: () => void
}

/** A key that is to be read. `first`: what Redis was asked for already. */
interface Wanted<P> {
  readonly key: string
  readonly params: P
  readonly first: Promise<RedisValue | undefined> | undefined
}

/** By way of Redis, in one of its epochs. */
interface Way<V> {
  readonly redis: RedisTier
  readonly epoch: string
  readonly flight: Flight<Answer<V>>
}

interface Leased<P> {
  readonly key: string
  readonly params: P
  readonly token: string
  readonly fences: readonly string[]
}

interface LoadedValue extends NewValue {
  /** In memory. */
  readonly bytes: number
}

interface Loaded<V> extends Read<V> {
  readonly frozen: FrozenValue
}

type Params = Readonly<Record<string, KeyPart>>

/** Who waits for another node's load looks again after so long. */
const [firstLookMs, longestLookMs] = [2, 25]
/** Then whoever has the lease is slow, or dead, and the waiting one loads for itself. */
const longestWaitMs = 1000

/** Resolves with the work, or rejects with the signal's reason; the work goes on for others. */
const unlessAborted = <T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (!signal) return work
  // Nobody waits for it then, and its failure must not be one that nobody handles.
  if (signal.aborted) work.catch(() => undefined)
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

export class Entry<P, V> implements CacheEntry<P, V> {
  readonly #parts: EntryParts<P, V>
  readonly #keyOf: (params: Params) => string
  readonly #loader: Loader<P, V>
  readonly #flights = new Flights<Answer<V>>()
  readonly #voids = new Voids()

  constructor(parts: EntryParts<P, V>) {
    this.#parts = parts
    const { pool, definition, options, clock } = parts
    this.#loader = new Loader({ pool, load: definition.options.load, timeoutMs: options.hardTimeoutMs, clock })
    this.#keyOf = parts.template.keyer(parts.prefix, parts.forms)
  }

  get name(): string {
    return this.#parts.name
  }

  /** The names of the template, in their order. */
  get names(): readonly string[] {
    return this.#parts.template.names
  }

  get definition(): CacheDefinition<P, V> {
    return this.#parts.definition
  }

  get stats(): EntryStats {
    return this.#parts.stats
  }

  get memory(): MemoryTier | null {
    return this.#parts.memory
  }

  key(params: P): string {
    return this.#keyOf(params as Params)
  }

  async get(params: P, options?: GetOptions): Promise<V> {
    const key = this.key(params)
    const wanted = this.#wanted(options)
    if (wanted === undefined) {
      const slot = this.#inMemory(key)
      if (slot) return slot.value as V
    }
    return (await this.#lookup(key, params, wanted)).value
  }

  async lookup(params: P, options?: GetOptions): Promise<Answer<V>> {
    return this.#lookup(this.key(params), params, this.#wanted(options))
  }

  async getMany(params: readonly P[], given?: GetOptions): Promise<readonly V[]> {
    const { after, tx, signal } = this.#wanted(given) ?? {}
    const keys = params.map((each) => this.key(each))
    const isReached = after === undefined || (await this.#parts.feed.reach(after, signal))
    const options = { ...(tx && { tx }), ...(signal && { signal }), ...(!isReached && { after }) }
    // From here to the flights nothing may come in between: a change that did would find nothing to detach.
    const first = isReached && !tx ? this.#ask(keys) : new Map<string, Promise<RedisValue | undefined>>()
    const answers = await Promise.all(keys.map((key, i) => this.#lookup(key, params[i]!, options, first.get(key))))
    return answers.map(({ value }) => value)
  }

  /** One round trip to Redis for what memory lacks. */
  #ask(keys: readonly string[]): Map<string, Promise<RedisValue | undefined>> {
    const { feed, redis, memory } = this.#parts
    const [epoch, lacking] = [feed.redisEpoch, [...new Set(keys)].filter((key) => !memory?.get(key))]
    if (redis === null || epoch === null || lacking.length < 2) return new Map()
    const asked = redis.getMany(lacking, epoch)
    return new Map(
      lacking.map((key, i) => {
        const found = asked.then((all) => all[i])
        found.catch(() => undefined)
        return [key, found]
      }),
    )
  }

  peek(params: P): V | undefined {
    const { sessions } = this.#parts
    if (sessions.isUsed && !sessions.isReached) return undefined
    return this.#inMemory(this.key(params))?.value as V | undefined
  }

  #wanted(options: GetOptions | undefined): GetOptions | undefined {
    const { sessions } = this.#parts
    return sessions.isUsed ? sessions.optionsOf(options) : options
  }

  /** What memory would answer. Counts as no read. */
  inMemory(key: string): MemorySlot | undefined {
    const { memory, feed, clock, isHeld, name } = this.#parts
    const slot = memory?.get(key)
    return slot && slot.freshUntilMs >= clock.monotonicMs() && feed.isFresh && !isHeld(key, name) ? slot : undefined
  }

  /** What Redis would answer. Counts as no read. Raises TM_REDIS_*. */
  async inRedis(key: string): Promise<RedisValue | undefined> {
    const { redis, feed, isHeld, name } = this.#parts
    const epoch = feed.redisEpoch
    const found = redis && epoch !== null ? await redis.get(key, epoch) : undefined
    if (!found || epoch === null || found.freshForMs <= 0 || !this.#isUsable(epoch) || isHeld(key, name)) return undefined
    return this.#voids.isVoid(found.asOf, found.tags) ? undefined : found
  }

  /** What the primary gives; undefined where a standby may answer, which is behind. Counts as no read, and is not kept. Raises what `load` raises. */
  async loadAnew(params: P): Promise<{ readonly value: V } | undefined> {
    return this.#parts.mayBeStandby() ? undefined : this.#loader.load({ key: this.key(params), params, stamp: false })
  }

  async evict(params: P): Promise<void> {
    const key = this.key(params)
    this.drop(key)
    await this.#parts.onEvict(key)
  }

  /** A change took the key away. True where memory had it. */
  drop(key: string): boolean {
    this.#flights.detach(key)
    this.#parts.stats.evictions++
    return this.#parts.memory?.delete(key) ?? false
  }

  /** A write that touches the key, or any key, is announced: what is under way may not be kept. */
  detach(key: string | null): void {
    if (key === null) this.#flights.detachAll()
    else this.#flights.detach(key)
  }

  dropTag(tag: string, position: bigint): void {
    this.#flights.detachAll()
    this.#voids.voidTag(tag, position)
    this.#parts.stats.evictions += this.#parts.memory?.deleteTag(tag) ?? 0
  }

  dropAll(position: bigint): void {
    this.#clear()
    this.#voids.voidAll(position)
  }

  /** Another history: what was known of the one before counts no more. */
  restart(position: bigint): void {
    this.#clear()
    this.#voids.restart(position)
  }

  #clear(): void {
    this.#flights.detachAll()
    this.#parts.memory?.clear()
    this.#parts.stats.clears++
  }

  /** Loads again, for those who will ask. Never raises. */
  async warm(params: P): Promise<void> {
    this.#parts.stats.warmed++
    await this.lookup(params).catch(() => undefined)
  }

  #inMemory(key: string) {
    const { memory, feed, clock, isHeld, name, stats } = this.#parts
    const slot = memory?.get(key)
    if (slot === undefined) return undefined
    // Looked at once: it takes as long as the map.
    const now = clock.monotonicMs()
    if (slot.freshUntilMs < now || !feed.isFreshAt(now) || isHeld(key, name)) return undefined
    stats.memory++
    if (stats.isSample) stats.served(this.#ageOf(slot.loadedAtMs))
    return slot
  }

  /** `first`: what Redis was asked for already. */
  async #lookup(
    key: string,
    params: P,
    { after, tx, signal }: GetOptions = {},
    first?: Promise<RedisValue | undefined>,
  ): Promise<Answer<V>> {
    const { definition, feed, isHeld, name, stats } = this.#parts
    if (tx)
      return {
        value: await definition.options.load(params, tx, signal ?? new AbortController().signal),
        source: 'load',
        ageMs: 0,
      }
    const isReached = after === undefined || (await feed.reach(after, signal))
    if (isReached) {
      const slot = this.#inMemory(key)
      if (slot) return { value: slot.value as V, source: 'memory', ageMs: this.#ageOf(slot.loadedAtMs) }
      stats.misses++
      if (feed.isFresh && !isHeld(key, name)) {
        const old = this.#kept(key, 'staleWhileRevalidateMs')
        const flying = this.#flights.join(key, (flight) => this.#fly(flight, { key, params, first }))
        if (!old) return unlessAborted(this.#orStale(key, flying), signal)
        flying.catch(() => undefined)
        stats.stale++
        return old
      }
    }
    // Nothing that may be old is joined: who comes while a load runs gets the next one.
    stats.bypassed++
    const loading = this.#flights.after(key, async () => this.#answerOf(await this.#load(key, params, false)))
    return unlessAborted(this.#orStale(key, loading), signal)
  }

  #ageOf(loadedAtMs: number): number {
    return Math.max(0, this.#parts.clock.monotonicMs() - loadedAtMs)
  }

  /** A value past its time that may still be answered, as stale. */
  #kept(key: string, bound: 'staleWhileRevalidateMs' | 'staleIfErrorForMs'): Answer<V> | undefined {
    const { memory, options, clock } = this.#parts
    const slot = options[bound] > 0 ? memory?.get(key) : undefined
    if (!slot || slot.freshUntilMs + options[bound] < clock.monotonicMs()) return undefined
    return { value: slot.value as V, source: 'stale', ageMs: this.#ageOf(slot.loadedAtMs) }
  }

  /** The load, or what may be answered instead where it fails or takes long (CACHE-6). */
  #orStale(key: string, loading: Promise<Answer<V>>): Promise<Answer<V>> {
    return this.#parts.options.staleIfErrorForMs === 0 ? loading : this.#unlessFails(key, loading)
  }

  async #unlessFails(key: string, loading: Promise<Answer<V>>): Promise<Answer<V>> {
    const { options, stats, clock } = this.#parts
    const over = new AbortController()
    const late = Number.isFinite(options.softTimeoutMs) ? clock.sleep(options.softTimeoutMs, over.signal) : undefined
    late?.catch(() => undefined)
    try {
      const answer = await (late ? Promise.race([loading, late]) : loading)
      if (answer) return answer
    } catch (error) {
      const old = this.#kept(key, 'staleIfErrorForMs') ?? (await this.#keptInRedis(key))
      if (!old) throw error
      stats.stale++
      return old
    } finally {
      over.abort()
    }
    const old = this.#kept(key, 'staleIfErrorForMs')
    if (!old) return loading
    loading.catch(() => undefined)
    stats.stale++
    return old
  }

  async #keptInRedis(key: string): Promise<Answer<V> | undefined> {
    const { redis, feed, options } = this.#parts
    const epoch = feed.lastRedisEpoch
    const found = redis && epoch !== null ? await redis.get(key, epoch).catch(() => undefined) : undefined
    // Old it may be, as far as the option goes; of what an eviction took away memory would have nothing either.
    if (!found || found.freshForMs + options.staleIfErrorForMs < 0 || this.#voids.isVoid(found.asOf, found.tags)) return undefined
    return { value: found.value as V, source: 'stale', ageMs: found.ageMs }
  }

  /** A load that others join: from Redis, by whoever has the lease, or alone. */
  async #fly(flight: Flight<Answer<V>>, wanted: Wanted<P>): Promise<Answer<V>> {
    const { redis, feed, stats } = this.#parts
    const { key, params } = wanted
    const epoch = feed.redisEpoch
    if (redis !== null && epoch !== null) {
      try {
        const answer = await this.#shared({ redis, epoch, flight }, wanted)
        if (answer) return answer
      } catch (error) {
        if (!isTidemarkError(error) || !error.code.startsWith('TM_REDIS_')) throw error
        stats.redisErrors++
      }
    }
    const asOf = feed.position?.number
    const loaded = await this.#load(key, params, false)
    if (asOf !== undefined && this.#isSeen(loaded, [], asOf)) this.#keep(flight, key, this.#newValue(params, loaded, asOf))
    return this.#answerOf(loaded)
  }

  /** By way of Redis; undefined where another node's load was waited for in vain. */
  async #shared(way: Way<V>, { key, params, first }: Wanted<P>): Promise<Answer<V> | undefined> {
    const { clock, stats } = this.#parts
    const { redis, epoch } = way
    let found = await (first ?? redis.get(key, epoch))
    const endMs = clock.monotonicMs() + Math.min(redis.leaseMs, longestWaitMs)
    for (let lookMs = firstLookMs; clock.monotonicMs() < endMs; lookMs = Math.min(longestLookMs, lookMs * 2)) {
      if (!this.#isUsable(epoch)) return undefined
      const answer = found && this.#promote(way, key, found)
      if (answer) return answer
      const lease = await redis.lease(key, epoch, found?.id)
      if (lease.state === 'full') return undefined
      if (lease.state === 'granted') return this.#fill(way, { key, params, token: lease.token, fences: lease.fences })
      found = lease.state === 'found' ? lease.found : undefined
      if (found) continue
      await clock.sleep(lookMs)
      found = await redis.get(key, epoch)
    }
    stats.bypassed++
    return undefined
  }

  /** Loads under a lease, answers, and stores where the fence lets it (CACHE-1). */
  async #fill({ redis, epoch, flight }: Way<V>, { key, params, token, fences }: Leased<P>): Promise<Answer<V>> {
    const { feed, stats, options } = this.#parts
    const release = () => void redis.release(key, token).catch(() => undefined)
    const asOf = feed.position?.number
    let loaded: Loaded<V>
    let value: LoadedValue
    try {
      loaded = await this.#load(key, params, fences.length > 0)
      if (asOf === undefined || flight.isDetached || !this.#isSeen(loaded, fences, asOf)) {
        release()
        stats.refused++
        return this.#answerOf(loaded)
      }
      value = this.#newValue(params, loaded, asOf)
    } catch (error) {
      release()
      throw error
    }
    this.#keep(flight, key, value)
    if (value.bytes > options.maxValueBytes || value.keptForMs <= 0) release()
    else {
      // Whoever waits is answered before Redis has stored it.
      const told = (outcome: string) => (outcome === 'refused' ? stats.refused++ : undefined)
      redis.fill(key, epoch, token, value, loaded.stamp).then(told, () => stats.redisErrors++)
    }
    return this.#answerOf(loaded)
  }

  /** Whether rows show all that this node has applied, and what stands on the key. */
  #isSeen({ stamp }: Loaded<V>, fences: readonly string[], asOf: bigint): boolean {
    if (stamp === null) return fences.length === 0
    if (stamp.hasWritten || (stamp.standby && !this.#hasReplayed(stamp, asOf))) return false
    return sees(stamp, fences)
  }

  /** A position is where the record of a commit begins: replayed is what ends beyond. What the outbox counts says nothing of the log. */
  #hasReplayed({ replayed }: Stamp, asOf: bigint): boolean {
    const isLsn = this.#parts.feed.position?.epoch.startsWith('wal-') === true
    return isLsn && replayed !== null && replayed > asOf
  }

  async #load(key: string, params: P, stamp: boolean): Promise<Loaded<V>> {
    const { stats, mayBeStandby } = this.#parts
    stats.loads++
    try {
      const loaded = await this.#loader.load({ key, params, stamp: stamp || mayBeStandby() })
      return { ...loaded, frozen: freezeDeep(loaded.value, key) }
    } catch (error) {
      stats.loadErrors++
      throw error
    }
  }

  #answerOf({ value }: Loaded<V>): Answer<V> {
    return { value, source: 'load', ageMs: 0 }
  }

  #newValue(params: P, { value, frozen }: Loaded<V>, asOf: bigint): LoadedValue {
    const { definition, options, random } = this.#parts
    const lifeMs = (value === null ? options.negativeTtlMs : options.ttlMs) * (1 - random() / 10)
    const past = Math.max(options.staleIfErrorForMs, options.staleWhileRevalidateMs)
    const tags = definition.options.tags?.(params, value) ?? []
    return {
      value,
      plain: frozen.kind === 'json',
      bytes: frozen.heapBytes,
      freshForMs: lifeMs,
      keptForMs: lifeMs + past,
      asOf,
      tags,
    }
  }

  /** Into memory, unless something changed since the load began, or may not be kept. */
  #keep(
    flight: Flight<Answer<V>>,
    key: string,
    value: Omit<NewValue, 'plain'> & { readonly bytes: number; readonly ageMs?: number },
  ): void {
    const { memory, clock, options, feed, stats, isHeld, name } = this.#parts
    if (!memory || value.keptForMs <= 0) return
    if (value.bytes > options.maxValueBytes) {
      stats.tooLarge++
      return
    }
    if (flight.isDetached || isHeld(key, name) || !feed.isFresh || this.#voids.isVoid(value.asOf, value.tags)) {
      stats.refused++
      return
    }
    const now = clock.monotonicMs()
    memory.set({
      key,
      value: value.value,
      bytes: value.bytes,
      loadedAtMs: now - (value.ageMs ?? 0),
      freshUntilMs: now + value.freshForMs,
      keptUntilMs: now + value.keptForMs,
      tags: value.tags,
    })
    this.#parts.onKept()
  }

  /** Whether what Redis holds may be answered now. */
  #isUsable(epoch: string): boolean {
    const { feed } = this.#parts
    return feed.isFresh && feed.redisEpoch === epoch
  }

  /** What Redis has, as an answer and into memory (CACHE-2); undefined where it is void by now. */
  #promote({ flight }: Way<V>, key: string, found: RedisValue): Answer<V> | undefined {
    const { stats } = this.#parts
    if (found.freshForMs <= 0 || this.#voids.isVoid(found.asOf, found.tags)) return undefined
    this.#keep(flight, key, { ...found, bytes: freezeDeep(found.value).heapBytes })
    stats.redis++
    stats.served(found.ageMs)
    return { value: found.value as V, source: 'redis', ageMs: found.ageMs }
  }
}
