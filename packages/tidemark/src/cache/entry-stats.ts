/** What happened to one entry on this node since it was opened. */
export class EntryStats {
  /** Answers, by where they came from. */
  memory = 0
  redis = 0
  stale = 0
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

  get reads(): number {
    return this.memory + this.redis + this.stale + this.loads
  }

  /** From 0 to 1; null before the first read. */
  get hitRate(): number | null {
    return this.reads === 0 ? null : (this.memory + this.redis + this.stale) / this.reads
  }
}
