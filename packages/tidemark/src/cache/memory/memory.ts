/** L1: values of one entry in this process, bounded in bytes. */

/** Where a value stands in memory. Read only; the tier sets it. */
export interface MemorySlot {
  readonly key: string
  /** Frozen. */
  readonly value: unknown
  /** What the value alone takes, as whoever stores it counts. */
  readonly bytes: number
  /** When it was read from Postgres, and when it is no longer fresh and no longer kept; of the monotonic clock, in milliseconds. */
  readonly loadedAtMs: number
  readonly freshUntilMs: number
  readonly keptUntilMs: number
  readonly tags: readonly string[]
}

export interface MemoryTier {
  /** Counts as a use. Does not look at the times: the caller does. */
  get(key: string): MemorySlot | undefined
  /**
   * Evicts others until it fits, and takes the place of what the key had. False where it is larger than the tier: then nothing else goes, and the
   * key has nothing any more.
   */
  set(slot: MemorySlot): boolean
  delete(key: string): boolean
  /** Gives how many went. */
  deleteTag(tag: string): number
  clear(): number
  /** Takes away what is past `keptUntilMs`, looking at `most` slots from where the last call stopped; gives how many went. */
  sweep(nowMs: number, most: number): number
  keys(): IterableIterator<string>
  /** Lowers or raises the bound; evicts at once where more is there. */
  resize(maxBytes: number): void
  readonly size: number
  /** As accounted: values, keys, tags and what a slot itself takes. */
  readonly bytes: number
  readonly maxBytes: number
  /** Evicted since it was made because of a bound. */
  readonly evictions: number
}

export interface MemoryTierOptions {
  /** 0 keeps nothing. */
  readonly maxBytes: number
  /** Default: bytes are the only bound. */
  readonly maxEntries?: number
  /** Default `sieve`. */
  readonly eviction?: 'sieve' | 'lru' | 'lfu'
}
