/** How far this node's cache has followed the feed, and whether it may answer at all (FEED-3). */
import { isTidemarkError } from '../errors.js'
import type { FreshnessProof } from '../feed/feed.js'
import type { Position } from '../feed/position.js'
import type { Clock } from '../time/clock.js'
import type { CacheFeed } from './cache.js'

export interface FeedStateOptions {
  /** A proof that is older is none. */
  readonly maxSilenceMs: number
  /** How long a read waits for a position. */
  readonly waitMs: number
  readonly clock: Clock
}

export class FeedState {
  readonly #options: FeedStateOptions
  #feed: Pick<CacheFeed, 'waitFor' | 'redisEpoch'> | undefined
  #asOf = Number.NEGATIVE_INFINITY
  #position: Position | null = null
  #lastEpoch: string | null = null
  readonly #waiting = new Set<{ readonly fromMs: number; readonly done: () => void }>()

  constructor(options: FeedStateOptions) {
    this.#options = options
  }

  /** From now on there is a feed to follow. */
  attach(feed: Pick<CacheFeed, 'waitFor' | 'redisEpoch'>): void {
    this.#feed = feed
  }

  /** Everything up to here is applied. */
  get position(): Position | null {
    return this.#position
  }

  passed(position: Position): void {
    this.#position = position
  }

  prove({ asOf, position }: FreshnessProof): void {
    this.#asOf = Math.max(this.#asOf, asOf)
    this.#position = position
    for (const each of this.#waiting) if (each.fromMs <= asOf) each.done()
  }

  /** What was proven was of another history. */
  reset(position: Position): void {
    this.#asOf = Number.NEGATIVE_INFINITY
    this.#position = position
  }

  get freshnessMs(): number {
    return this.#options.clock.monotonicMs() - this.#asOf
  }

  get isFresh(): boolean {
    return this.freshnessMs <= this.#options.maxSilenceMs
  }

  /** Of what Redis holds; null while Redis may not be asked. */
  get redisEpoch(): string | null {
    const epoch = this.#feed?.redisEpoch() ?? null
    if (epoch !== null) this.#lastEpoch = epoch
    return epoch
  }

  /** The last one there was: for values that may be answered as stale. */
  get lastRedisEpoch(): string | null {
    return this.redisEpoch ?? this.#lastEpoch
  }

  /** Waits until everything up to a position is applied. False where that takes too long, or the position is of another history. */
  async reach(position: Position, signal?: AbortSignal): Promise<boolean> {
    const own = this.#position
    if (own === null || own.epoch !== position.epoch || !this.#feed) return false
    // Writers cannot know the numbers of the outbox: what was committed before the read began is waited for.
    if (position.epoch.startsWith('outbox-')) return this.#proven(signal)
    if (own.number >= position.number) return true
    try {
      await this.#feed.waitFor(position, { timeoutMs: this.#options.waitMs, ...(signal && { signal }) })
      return true
    } catch (error) {
      if (isTidemarkError(error)) return false
      throw error
    }
  }

  /** Until a proof of this moment has come. */
  async #proven(signal?: AbortSignal): Promise<boolean> {
    const { clock, waitMs } = this.#options
    const over = new AbortController()
    const late = clock.sleep(waitMs, signal ? AbortSignal.any([signal, over.signal]) : over.signal).then(() => false)
    let waiting: { readonly fromMs: number; readonly done: () => void } | undefined
    const proof = new Promise<boolean>((resolve) => {
      waiting = { fromMs: clock.monotonicMs(), done: () => resolve(true) }
      this.#waiting.add(waiting)
    })
    try {
      return await Promise.race([proof, late])
    } finally {
      late.catch(() => undefined)
      over.abort()
      this.#waiting.delete(waiting!)
    }
  }
}
