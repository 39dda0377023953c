/** Ages that are remembered. */
const keptAges = 128
/** Of so many answers from memory the age of one is noted: a clock is not free. */
const agesMask = 63

/** What happened to one entry on this node since it was opened. */
export class EntryStats {
  /** Answers, by where they came from. */
  memory = 0
  redis = 0
  stale = 0
  /** Reads that memory did not answer. */
  misses = 0
  /** Loads from Postgres, those that failed, and those that were answered and not kept, since the fence or a change in between refused them. */
  loads = 0
  loadErrors = 0
  refused = 0
  /** Reads that went past the cache: the feed is not proven fresh, or a write of the key is under way. */
  bypassed = 0
  /** Keys that changes took away. */
  evictions = 0
  /** Times that the whole entry went. */
  clears = 0
  redisErrors = 0
  tooLarge = 0
  warmed = 0
  /** Keys that were compared with Postgres, and those that were not as Postgres has them. */
  sampled = 0
  staleFound = 0
  /** Told of some of the ages. */
  onAge: ((ageMs: number) => void) | undefined
  readonly #ages: number[] = []
  #aged = 0

  get reads(): number {
    return this.memory + this.redis + this.stale + this.loads
  }

  /** From 0 to 1; null before the first read. */
  get hitRate(): number | null {
    return this.reads === 0 ? null : (this.memory + this.redis + this.stale) / this.reads
  }

  /** Whether the answer from memory that was just counted is one whose age is noted. */
  get isSample(): boolean {
    return (this.memory & agesMask) === 1
  }

  /** An answer from memory or Redis was so old. */
  served(ageMs: number): void {
    this.#ages[this.#aged++ % keptAges] = ageMs
    this.onAge?.(ageMs)
  }

  /** Of the last answers: how old half of them were at most, and the oldest. Null before the first. */
  get ages(): { readonly medianMs: number; readonly maxMs: number } | null {
    if (this.#ages.length === 0) return null
    const sorted = [...this.#ages].sort((a, b) => a - b)
    return { medianMs: Math.round(sorted[sorted.length >> 1]!), maxMs: Math.round(sorted.at(-1)!) }
  }
}
