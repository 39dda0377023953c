/** Loads of one entry, and what of them may be kept: what is not known to show all that this node has applied is answered and no more (CACHE-1). */
import type { Clock } from '../../time/clock.js'
import type { Answer, CacheDefinition, CachePool } from '../cache.js'
import type { EntryStats } from '../entry/entry-stats.js'
import type { KeepableValue } from '../entry/kept-values.js'
import type { FeedState } from '../follow/feed-state.js'
import type { ResolvedOptions } from '../plan/resolve-options.js'
import type { NewValue } from '../redis/redis-tier.js'
import { type FrozenValue, freezeDeep } from '../value/value.js'
import { type Loaded, Loader, sees } from './load-value.js'
import type { Stamp } from './stamp.js'

export interface FencedLoadsParts<P, V> {
  readonly definition: CacheDefinition<P, V>
  readonly options: ResolvedOptions
  readonly pool: CachePool
  readonly feed: FeedState
  /** True where loads may be answered by a standby. */
  readonly mayBeStandby: () => boolean
  readonly clock: Clock
  readonly stats: EntryStats
  readonly random: () => number
}

export interface FencedLoad<V> extends Loaded<V> {
  readonly frozen: FrozenValue
  /** Everything up to here was applied when it began; undefined before the feed has told. */
  readonly asOf: bigint | undefined
}

/** For memory and for Redis. */
export type LoadedValue = NewValue & KeepableValue

export const answerOf = <V>({ value }: Loaded<V>): Answer<V> => ({ value, source: 'load', ageMs: 0 })

export class FencedLoads<P, V> {
  readonly #parts: FencedLoadsParts<P, V>
  readonly #loader: Loader<P, V>

  constructor(parts: FencedLoadsParts<P, V>) {
    const { pool, definition, options, clock } = parts
    this.#parts = parts
    this.#loader = new Loader({ pool, load: definition.options.load, timeoutMs: options.hardTimeoutMs, clock })
  }

  /** With a stamp where fences stand, or a standby may answer. Raises what the loader raises, TM_CACHE_LOAD_TIMEOUT, TM_CACHE_VALUE. */
  async load(key: string, params: P, isFenced = false): Promise<FencedLoad<V>> {
    const { feed, stats, mayBeStandby } = this.#parts
    const asOf = feed.position?.number
    stats.loads++
    try {
      const loaded = await this.#loader.load({ key, params, stamp: isFenced || mayBeStandby() })
      return { ...loaded, asOf, frozen: freezeDeep(loaded.value, key) }
    } catch (error) {
      stats.loadErrors++
      throw error
    }
  }

  /** What the primary gives; undefined where a standby may answer, which is behind. Counts as no read. Raises what `load` raises. */
  async loadAnew(key: string, params: P): Promise<Loaded<V> | undefined> {
    return this.#parts.mayBeStandby() ? undefined : this.#loader.load({ key, params, stamp: false })
  }

  /** The value as tiers keep it; undefined where it may not show all that is applied here, and what stands on the key. Raises what `tags` raises. */
  valueOf(params: P, loaded: FencedLoad<V>, fences: readonly string[] = []): LoadedValue | undefined {
    const { definition, options, random } = this.#parts
    const { value, frozen, asOf } = loaded
    if (asOf === undefined || !this.#isSeen(loaded, fences, asOf)) return undefined
    const lifeMs = (value === null ? options.negativeTtlMs : options.ttlMs) * (1 - random() / 10)
    const past = Math.max(options.staleIfErrorForMs, options.staleWhileRevalidateMs)
    return {
      value,
      plain: frozen.kind === 'json',
      bytes: frozen.heapBytes,
      freshForMs: lifeMs,
      keptForMs: lifeMs + past,
      asOf,
      tags: definition.options.tags?.(params, value) ?? [],
    }
  }

  #isSeen({ stamp, isLate }: Loaded<V>, fences: readonly string[], asOf: bigint): boolean {
    if (isLate) return false
    if (stamp === null) return fences.length === 0
    if (stamp.hasWritten || (stamp.standby && !this.#hasReplayed(stamp, asOf))) return false
    return sees(stamp, fences)
  }

  /** A position is where the record of a commit begins: replayed is what ends beyond. What the outbox counts says nothing of the log. */
  #hasReplayed({ replayed }: Stamp, asOf: bigint): boolean {
    const isLsn = this.#parts.feed.position?.epoch.startsWith('wal-') === true
    return isLsn && replayed !== null && replayed > asOf
  }
}
