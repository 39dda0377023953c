/** One entry at work: memory, then Redis, then Postgres; what is kept has passed the fence. */
import type { Answer, CacheDefinition, CacheEntry, GetOptions, KeyPart } from '../cache.js'
import { answerOf, FencedLoads, type FencedLoadsParts } from '../load/fenced-loads.js'
import type { MemorySlot, MemoryTier } from '../memory/memory.js'
import type { KeyTemplate, PartForm } from '../plan/key-template.js'
import type { RedisValue } from '../redis/redis-tier.js'
import type { Sessions } from '../session/session.js'
import type { EntryStats } from './entry-stats.js'
import type { Flight } from './flights.js'
import { KeptValues, type KeptValuesParts } from './kept-values.js'
import { SharedValues, type SharedValuesParts, type Wanted } from './shared-values.js'

export interface EntryParts<P, V> extends KeptValuesParts, FencedLoadsParts<P, V>, SharedValuesParts {
  readonly name: string
  readonly template: KeyTemplate
  /** Before every key. */
  readonly prefix: string
  readonly forms: readonly PartForm[]
  readonly onEvict: (key: string) => Promise<void>
  readonly sessions: Sessions
}

type Params = Readonly<Record<string, KeyPart>>

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
  readonly #kept: KeptValues<Answer<V>>
  readonly #loads: FencedLoads<P, V>
  readonly #shared: SharedValues<P, V>

  constructor(parts: EntryParts<P, V>, kept = new KeptValues<Answer<V>>(parts)) {
    this.#parts = parts
    this.#keyOf = parts.template.keyer(parts.prefix, parts.forms)
    this.#kept = kept
    this.#loads = new FencedLoads(parts)
    this.#shared = new SharedValues(parts, this.#loads, this.#kept)
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
      const slot = this.#read(key)
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
    const first = isReached && !tx ? this.#shared.ask(keys) : new Map<string, Promise<RedisValue | undefined>>()
    const answers = await Promise.all(keys.map((key, i) => this.#lookup(key, params[i]!, options, first.get(key))))
    return answers.map(({ value }) => value)
  }

  peek(params: P): V | undefined {
    const { sessions } = this.#parts
    if (sessions.isUsed && !sessions.isReached) return undefined
    return this.#read(this.key(params))?.value as V | undefined
  }

  async evict(params: P): Promise<void> {
    const key = this.key(params)
    this.drop(key)
    await this.#parts.onEvict(key)
  }

  /** Loads again, for those who will ask. Never raises. */
  async warm(params: P): Promise<void> {
    this.#parts.stats.warmed++
    await this.lookup(params).catch(() => undefined)
  }

  // What it would answer: none of these counts as a read.

  inMemory(key: string): MemorySlot | undefined {
    return this.#kept.fresh(key)
  }

  /** Raises TM_REDIS_*. */
  inRedis(key: string): Promise<RedisValue | undefined> {
    return this.#shared.fresh(key)
  }

  /** Undefined where a standby may answer, which is behind. Is not kept. Raises what `load` raises. */
  async loadAnew(params: P): Promise<{ readonly value: V } | undefined> {
    return this.#loads.loadAnew(this.key(params), params)
  }

  // What the feed tells.

  /** A change took the key away. True where memory had it. */
  drop(key: string): boolean {
    return this.#kept.drop(key)
  }

  /** A write that touches the key, or any key, is announced: what is under way may not be kept. */
  detach(key: string | null): void {
    this.#kept.detach(key)
  }

  dropTag(tag: string, position: bigint): void {
    this.#kept.dropTag(tag, position)
  }

  dropAll(position: bigint): void {
    this.#kept.dropAll(position)
  }

  /** Another history: what was known of the one before counts no more. */
  restart(position: bigint): void {
    this.#kept.restart(position)
  }

  #wanted(options: GetOptions | undefined): GetOptions | undefined {
    const { sessions } = this.#parts
    return sessions.isUsed ? sessions.optionsOf(options) : options
  }

  /** Counts as a read of memory. */
  #read(key: string): MemorySlot | undefined {
    const { stats } = this.#parts
    const slot = this.#kept.fresh(key)
    if (slot === undefined) return undefined
    stats.memory++
    if (stats.isSample) stats.served(this.#ageOf(slot))
    return slot
  }

  /** `first`: what Redis was asked for already. */
  async #lookup(
    key: string,
    params: P,
    { after, tx, signal }: GetOptions = {},
    first?: Promise<RedisValue | undefined>,
  ): Promise<Answer<V>> {
    const { definition, feed, isHeld, stats } = this.#parts
    const { flights } = this.#kept
    if (tx)
      return {
        value: await definition.options.load(params, tx, signal ?? new AbortController().signal),
        source: 'load',
        ageMs: 0,
      }
    const isReached = after === undefined || (await feed.reach(after, signal))
    if (isReached) {
      const slot = this.#read(key)
      if (slot) return { value: slot.value as V, source: 'memory', ageMs: this.#ageOf(slot) }
      stats.misses++
      if (feed.isFresh && !isHeld(key)) {
        const old = this.#kept.stale(key, 'staleWhileRevalidateMs')
        const fly = (flight: Flight<Answer<V>>) => this.#fly(flight, { key, params, first })
        // Anew from here: what Redis was asked for is of before.
        const flying = flights.join(key, fly, () => this.#lookup(key, params))
        if (!old) return unlessAborted(this.#orStale(key, flying), signal)
        flying.catch(() => undefined)
        return this.#answerStale(old)
      }
    }
    // Nothing that may be old is joined: who comes while a load runs gets the next one.
    stats.bypassed++
    const loading = flights.after(key, async () => answerOf(await this.#loads.load(key, params)))
    return unlessAborted(this.#orStale(key, loading), signal)
  }

  /** A load that others join: by way of Redis, or alone. */
  async #fly(flight: Flight<Answer<V>>, wanted: Wanted<P>): Promise<Answer<V>> {
    const answer = await this.#shared.answer(flight, wanted)
    if (answer) return answer
    const { key, params } = wanted
    const loaded = await this.#loads.load(key, params)
    const value = this.#loads.valueOf(params, loaded)
    if (value) this.#kept.keep(flight, key, value)
    return answerOf(loaded)
  }

  /** The load, or what may be answered instead where it fails or takes long (CACHE-6). */
  #orStale(key: string, loading: Promise<Answer<V>>): Promise<Answer<V>> {
    return this.#parts.options.staleIfErrorForMs === 0 ? loading : this.#unlessFails(key, loading)
  }

  async #unlessFails(key: string, loading: Promise<Answer<V>>): Promise<Answer<V>> {
    const { options, clock } = this.#parts
    const over = new AbortController()
    const late = Number.isFinite(options.softTimeoutMs) ? clock.sleep(options.softTimeoutMs, over.signal) : undefined
    late?.catch(() => undefined)
    try {
      const answer = await (late ? Promise.race([loading, late]) : loading)
      if (answer) return answer
    } catch (error) {
      const old = this.#kept.stale(key, 'staleIfErrorForMs') ?? (await this.#shared.stale(key))
      if (!old) throw error
      return this.#answerStale(old)
    } finally {
      over.abort()
    }
    const old = this.#kept.stale(key, 'staleIfErrorForMs')
    if (!old) return loading
    loading.catch(() => undefined)
    return this.#answerStale(old)
  }

  #answerStale(old: MemorySlot | RedisValue): Answer<V> {
    this.#parts.stats.stale++
    return { value: old.value as V, source: 'stale', ageMs: 'ageMs' in old ? old.ageMs : this.#ageOf(old) }
  }

  #ageOf({ loadedAtMs }: MemorySlot): number {
    return Math.max(0, this.#parts.clock.monotonicMs() - loadedAtMs)
  }
}
