/** What a node has of one entry: values in memory, loads under way whose values may come there, and since when others are void (CACHE-2). */
import type { Clock } from '../../time/clock.js'
import type { FeedState } from '../follow/feed-state.js'
import type { MemorySlot, MemoryTier } from '../memory/memory.js'
import type { ResolvedOptions } from '../plan/resolve-options.js'
import type { NewValue } from '../redis/redis-tier.js'
import type { EntryStats } from './entry-stats.js'
import { type Flight, Flights } from './flights.js'
import { Voids } from './voids.js'

export interface KeptValuesParts {
  readonly options: ResolvedOptions
  readonly memory: MemoryTier | null
  readonly feed: FeedState
  /** True while a write that touches the key is announced: nothing is answered from, or kept in, any tier. */
  readonly isHeld: (key: string) => boolean
  readonly clock: Clock
  readonly stats: EntryStats
  /** A value was put into memory. */
  readonly onKept: () => void
}

/** A value on its way to memory. */
export interface KeepableValue extends Omit<NewValue, 'plain'> {
  /** In memory. */
  readonly bytes: number
}

/** `T`: what a load answers. */
export class KeptValues<T> {
  readonly flights = new Flights<T>()
  readonly #parts: KeptValuesParts
  readonly #voids = new Voids()

  constructor(parts: KeptValuesParts) {
    this.#parts = parts
  }

  get memory(): MemoryTier | null {
    return this.#parts.memory
  }

  /** What memory may answer. Counts as no read. */
  fresh(key: string): MemorySlot | undefined {
    const { memory, feed, clock, isHeld } = this.#parts
    const slot = memory?.get(key)
    if (slot === undefined) return undefined
    // Looked at once: it takes as long as the map.
    const now = clock.monotonicMs()
    return slot.freshUntilMs >= now && feed.isFreshAt(now) && !isHeld(key) ? slot : undefined
  }

  /** What memory may answer as stale: past its time by no more than the option says. */
  stale(key: string, bound: 'staleWhileRevalidateMs' | 'staleIfErrorForMs'): MemorySlot | undefined {
    const { memory, options, clock } = this.#parts
    const slot = options[bound] > 0 ? memory?.get(key) : undefined
    return slot && slot.freshUntilMs + options[bound] >= clock.monotonicMs() ? slot : undefined
  }

  /** Whether a value that was loaded when everything up to `asOf` was applied is not to be answered any more. */
  isVoid({ asOf, tags }: Pick<NewValue, 'asOf' | 'tags'>): boolean {
    return this.#voids.isVoid(asOf, tags)
  }

  /** Into memory, unless something changed since the load began, or may not be kept. */
  keep(flight: Flight<T>, key: string, value: KeepableValue): void {
    const { memory, clock, options, feed, stats, isHeld, onKept } = this.#parts
    flight.isSure = () => !this.isVoid(value)
    if (!memory || value.keptForMs <= 0) return
    if (value.bytes > options.maxValueBytes) {
      stats.tooLarge++
      return
    }
    if (flight.isDetached || isHeld(key) || !feed.isFresh || this.isVoid(value)) {
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
    onKept()
  }

  /** A change took the key away. True where memory had it. */
  drop(key: string): boolean {
    const { memory, stats } = this.#parts
    this.flights.detach(key)
    stats.evictions++
    return memory?.delete(key) ?? false
  }

  /** A write that touches the key, or any key, is announced: what is under way may not be kept. */
  detach(key: string | null): void {
    if (key === null) this.flights.detachAll()
    else this.flights.detach(key)
  }

  /** Which loads under way are of the tag is known when they have their values: those are void then, as of before the position. */
  dropTag(tag: string, position: bigint): void {
    const { memory, stats } = this.#parts
    this.#voids.voidTag(tag, position)
    this.flights.doubt()
    stats.evictions += memory?.deleteTag(tag) ?? 0
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
    const { memory, stats } = this.#parts
    this.flights.detachAll()
    memory?.clear()
    stats.clears++
  }
}
