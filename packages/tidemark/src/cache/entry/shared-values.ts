/** One entry's values in Redis: found there, or loaded by whoever of all nodes has the lease (CACHE-3). */
import { isTidemarkError } from '../../errors.js'
import type { Clock } from '../../time/clock.js'
import type { Answer } from '../cache.js'
import type { FeedState } from '../follow/feed-state.js'
import { answerOf, type FencedLoad, type FencedLoads, type LoadedValue } from '../load/fenced-loads.js'
import type { ResolvedOptions } from '../plan/resolve-options.js'
import type { RedisTier, RedisValue } from '../redis/redis-tier.js'
import { freezeDeep, freezeParsed } from '../value/value.js'
import type { EntryStats } from './entry-stats.js'
import type { Flight } from './flights.js'
import type { KeptValues } from './kept-values.js'

export interface SharedValuesParts {
  readonly options: ResolvedOptions
  readonly redis: RedisTier | null
  readonly feed: FeedState
  readonly isHeld: (key: string) => boolean
  readonly clock: Clock
  readonly stats: EntryStats
}

/** A key that is to be read. `first`: what Redis was asked for already. */
export interface Wanted<P> {
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

/** Who waits for another node's load looks again after so long. */
const [firstLookMs, longestLookMs] = [2, 25]
/** Then whoever has the lease is slow, or dead, and the waiting one loads for itself. */
const longestWaitMs = 1000
/** Where Redis had less than this share of the last few dozen, a lease is asked for at once: it brings along what is there after all. */
const worthLookingFrom = 0.25
const weightOfOne = 1 / 32

export class SharedValues<P, V> {
  readonly #parts: SharedValuesParts
  readonly #loads: FencedLoads<P, V>
  readonly #kept: KeptValues<Answer<V>>
  /** From 0 to 1: how often Redis had what it was asked for, lately. */
  #hitRate = 1

  constructor(parts: SharedValuesParts, loads: FencedLoads<P, V>, kept: KeptValues<Answer<V>>) {
    this.#parts = parts
    this.#loads = loads
    this.#kept = kept
  }

  /** One round trip for what memory lacks. */
  ask(keys: readonly string[]): Map<string, Promise<RedisValue | undefined>> {
    const { feed, redis } = this.#parts
    const [epoch, lacking] = [feed.redisEpoch, [...new Set(keys)].filter((key) => !this.#kept.memory?.get(key))]
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

  /** What Redis would answer. Counts as no read. Raises TM_REDIS_*. */
  async fresh(key: string): Promise<RedisValue | undefined> {
    const { redis, feed, isHeld } = this.#parts
    const epoch = feed.redisEpoch
    const found = redis && epoch !== null ? await redis.get(key, epoch) : undefined
    if (!found || epoch === null || found.freshForMs <= 0 || !this.#isUsable(epoch) || isHeld(key)) return undefined
    return this.#kept.isVoid(found) ? undefined : found
  }

  /** What Redis may answer as stale where a load fails (CACHE-6). */
  async stale(key: string): Promise<RedisValue | undefined> {
    const { redis, feed, options } = this.#parts
    const epoch = feed.lastRedisEpoch
    const found = redis && epoch !== null ? await redis.get(key, epoch).catch(() => undefined) : undefined
    // Old it may be, as far as the option goes; of what an eviction took away memory would have nothing either.
    if (!found || found.freshForMs + options.staleIfErrorForMs < 0 || this.#kept.isVoid(found)) return undefined
    return found
  }

  /** What Redis has, or the load that puts it there; undefined where Redis is away or full, or another node's load was waited for in vain. */
  async answer(flight: Flight<Answer<V>>, wanted: Wanted<P>): Promise<Answer<V> | undefined> {
    const { redis, feed, stats } = this.#parts
    const epoch = feed.redisEpoch
    if (redis === null || epoch === null) return undefined
    const way = { redis, epoch, flight }
    try {
      const isWorthLooking = this.#hitRate >= worthLookingFrom
      const found = await (wanted.first ?? (isWorthLooking ? redis.get(wanted.key, epoch) : undefined))
      if (!this.#isUsable(epoch)) return undefined
      return (found && this.#promote(way, wanted.key, found)) ?? (await this.#find(way, wanted, found))
    } catch (error) {
      if (!isTidemarkError(error) || !error.code.startsWith('TM_REDIS_')) throw error
      stats.redisErrors++
      return undefined
    }
  }

  /** By a lease, or what comes of another's. `useless`: what stands there, and may not be answered with. */
  async #find(way: Way<V>, { key, params }: Wanted<P>, useless: RedisValue | undefined): Promise<Answer<V> | undefined> {
    const { clock, stats } = this.#parts
    const { redis, epoch } = way
    let found = useless
    const endMs = clock.monotonicMs() + Math.min(redis.leaseMs, longestWaitMs)
    for (let lookMs = firstLookMs; clock.monotonicMs() < endMs; lookMs = Math.min(longestLookMs, lookMs * 2)) {
      const lease = await redis.lease(key, epoch, found?.id)
      if (lease.state !== 'found') this.#note(false)
      if (lease.state === 'full') return undefined
      if (lease.state === 'granted') return this.#fill(way, { key, params, token: lease.token, fences: lease.fences })
      if (lease.state === 'taken') await clock.sleep(lookMs)
      found = lease.state === 'found' ? lease.found : await redis.get(key, epoch)
      if (!this.#isUsable(epoch)) return undefined
      const answer = found && this.#promote(way, key, found)
      if (answer) return answer
    }
    stats.bypassed++
    return undefined
  }

  /** Loads under a lease, answers, and stores where the fence lets it (CACHE-1). */
  async #fill({ redis, epoch, flight }: Way<V>, { key, params, token, fences }: Leased<P>): Promise<Answer<V>> {
    const { stats, options } = this.#parts
    const release = () => void redis.release(key, token).catch(() => undefined)
    let loaded: FencedLoad<V>
    let value: LoadedValue | undefined
    try {
      loaded = await this.#loads.load(key, params, fences.length > 0)
      value = flight.isDetached ? undefined : this.#loads.valueOf(params, loaded, fences)
    } catch (error) {
      release()
      throw error
    }
    if (value === undefined || this.#kept.isVoid(value)) {
      release()
      stats.refused++
      return answerOf(loaded)
    }
    this.#kept.keep(flight, key, value)
    if (value.bytes > options.maxValueBytes || value.keptForMs <= 0) release()
    else {
      // Whoever waits is answered before Redis has stored it.
      const told = (outcome: string) => (outcome === 'refused' ? stats.refused++ : undefined)
      redis.fill(key, epoch, token, value, loaded.stamp).then(told, () => stats.redisErrors++)
    }
    return answerOf(loaded)
  }

  #note(isHit: boolean): void {
    this.#hitRate += ((isHit ? 1 : 0) - this.#hitRate) * weightOfOne
  }

  /** Whether what Redis holds may be answered now. */
  #isUsable(epoch: string): boolean {
    const { feed } = this.#parts
    return feed.isFresh && feed.redisEpoch === epoch
  }

  /** What Redis has, as an answer and into memory (CACHE-2); undefined where it is void by now. */
  #promote({ flight }: Way<V>, key: string, found: RedisValue): Answer<V> | undefined {
    const { stats } = this.#parts
    if (found.freshForMs <= 0 || this.#kept.isVoid(found)) return undefined
    this.#note(true)
    this.#kept.keep(flight, key, { ...found, bytes: found.plain ? freezeParsed(found.value) : freezeDeep(found.value).heapBytes })
    stats.redis++
    stats.served(found.ageMs)
    return { value: found.value as V, source: 'redis', ageMs: found.ageMs }
  }
}
