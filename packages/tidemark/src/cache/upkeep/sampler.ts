/**
 * Is it right? All the time, and slowly, a cached key is compared with what Postgres gives. A difference may be a change on its way: it counts
 * only where it stays once the feed has passed everything that was committed before the difference was seen.
 */
import { reasonOf } from '../../errors.js'
import type { Logger, Signals } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'
import type { Clock } from '../../time/clock.js'
import type { AnyEntry } from '../follow/cache-follower.js'
import type { FeedState } from '../follow/feed-state.js'
import { createKeyFinder, type FoundKey } from '../plan/parse-key.js'
import { sameValue } from '../value/same-value.js'

export interface SamplerOptions {
  readonly entries: readonly AnyEntry[]
  readonly feed: FeedState
  /** Where keys are drawn that this node has not in memory. */
  readonly redis: Redis | null
  readonly prefix: string
  readonly everyMs: number
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly signals: Signals | undefined
}

/** A value as a tier would answer it now. */
interface Kept {
  readonly tier: 'memory' | 'redis'
  readonly value: unknown
  /** Whether the very same one is still there. */
  readonly isStill: () => Promise<boolean>
}

type Sample = FoundKey<AnyEntry> & { readonly key: string }

/** So far apart are two keys of memory that are drawn one after the other. */
const longestStep = 16
/** So many keys of Redis are drawn for one that is ours. */
const draws = 4
const [lookAgainEveryMs, givesUpAfterMs] = [20, 10_000]

export class Sampler {
  readonly #options: SamplerOptions
  readonly #find: (key: string) => FoundKey<AnyEntry> | undefined
  readonly #stopping = new AbortController()
  readonly #places = new Map<AnyEntry, IterableIterator<string>>()
  #turn = 0
  #hasStarted = false

  constructor(options: SamplerOptions) {
    this.#options = options
    this.#find = createKeyFinder(options.entries, options.prefix)
  }

  start(): void {
    if (this.#options.everyMs === 0 || this.#hasStarted) return
    this.#hasStarted = true
    void this.#run()
  }

  /** Waits for no load that is under way: what comes of it is of no interest any more. */
  stop(): void {
    this.#stopping.abort()
  }

  /** Compares one key, in each tier that has it; true where one of them is stale. Raises what the load raises. */
  async compare({ entry, params, key }: Sample): Promise<boolean> {
    const kept = await this.#keptOf(entry, key)
    if (kept.length === 0) return false
    const fresh = await entry.loadAnew(params)
    if (!fresh) return false
    entry.stats.sampled++
    let isStale = false
    for (const each of kept) {
      if (sameValue(each.value, fresh.value) || !(await this.#isStale(each, fresh.value, () => entry.loadAnew(params)))) continue
      isStale = true
      this.#tell(entry, key, each.tier)
    }
    if (isStale) await entry.evict(params)
    return isStale
  }

  async #run(): Promise<void> {
    const { clock, everyMs, feed, log } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal).catch(() => undefined)
      if (signal.aborted || !feed.isFresh) continue
      try {
        const sample = await this.#draw()
        if (sample) await this.compare(sample)
      } catch (error) {
        log.debug('a cached key was not compared', { reason: reasonOf(error) })
      }
    }
  }

  /** By turns from memory and from Redis. */
  async #draw(): Promise<Sample | undefined> {
    return this.#turn++ % 2 === 0 ? this.#drawFromMemory() : ((await this.#drawFromRedis()) ?? this.#drawFromMemory())
  }

  #drawFromMemory(): Sample | undefined {
    const { entries, random } = this.#options
    const filled = entries.filter(({ memory }) => memory !== null && memory.size > 0)
    const entry = filled[Math.floor(random() * filled.length)]
    const key = entry && this.#nextKey(entry)
    const found = key === undefined ? undefined : this.#find(key)
    return found && key !== undefined ? { ...found, key } : undefined
  }

  /** Goes on where it stopped, so that it costs the same in a large tier as in a small one, and every key has its turn. */
  #nextKey(entry: AnyEntry): string | undefined {
    const steps = 1 + Math.floor(this.#options.random() * longestStep)
    let key: string | undefined
    for (let left = Math.min(steps, entry.memory!.size); left > 0; left--) {
      const place = this.#places.get(entry) ?? entry.memory!.keys()
      const next = place.next()
      if (next.done === true) this.#places.delete(entry)
      else {
        this.#places.set(entry, place)
        key = next.value
      }
    }
    return key
  }

  async #drawFromRedis(): Promise<Sample | undefined> {
    const { redis, feed } = this.#options
    if (redis?.state !== 'up' || feed.redisEpoch === null) return undefined
    const results = await redis.pipeline(Array.from({ length: draws }, () => ['RANDOMKEY'] as const))
    for (const result of results) {
      const key = result.ok && typeof result.value === 'string' ? result.value : undefined
      const found = key === undefined ? undefined : this.#find(key)
      if (found && key !== undefined) return { ...found, key }
    }
    return undefined
  }

  async #keptOf(entry: AnyEntry, key: string): Promise<readonly Kept[]> {
    const slot = entry.inMemory(key)
    const found = await entry.inRedis(key).catch(() => undefined)
    return [
      ...(slot ? [{ tier: 'memory' as const, value: slot.value, isStill: async () => entry.inMemory(key) === slot }] : []),
      ...(found
        ? [{ tier: 'redis' as const, value: found.value, isStill: async () => (await entry.inRedis(key))?.id === found.id }]
        : []),
    ]
  }

  async #isStale({ value, isStill }: Kept, fresh: unknown, load: () => ReturnType<AnyEntry['loadAnew']>): Promise<boolean> {
    if (!(await this.#hasPassed(this.#options.clock.monotonicMs())) || !(await isStill())) return false
    const again = await load()
    // What differs from itself (a time, a random order) is not to be compared.
    return again !== undefined && sameValue(fresh, again.value) && !sameValue(value, again.value) && isStill()
  }

  /** Whether everything that was committed up to a moment has been applied here, before long. */
  async #hasPassed(momentMs: number): Promise<boolean> {
    const { clock, feed } = this.#options
    const { signal } = this.#stopping
    const endMs = momentMs + givesUpAfterMs
    while (clock.monotonicMs() - feed.freshnessMs < momentMs) {
      if (signal.aborted || clock.monotonicMs() > endMs) return false
      await clock.sleep(lookAgainEveryMs, signal).catch(() => undefined)
    }
    return true
  }

  #tell(entry: AnyEntry, key: string, tier: Kept['tier']): void {
    const { log, signals } = this.#options
    entry.stats.staleFound++
    const message = `The cached value of ${key} in ${tier === 'memory' ? 'memory' : 'Redis'} was not as Postgres has it.`
    log.error('a cached value was not as Postgres has it', { entry: entry.name, key, tier })
    signals?.raise({ name: 'cache.stale', subject: entry.name, message, details: { key, tier } })
  }
}
