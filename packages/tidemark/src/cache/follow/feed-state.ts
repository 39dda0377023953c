/** How far this node's cache has followed the feed, and whether it may answer at all (FEED-3). */
import { isTidemarkError } from '../../errors.js'
import type { FreshnessProof } from '../../feed/feed.js'
import type { Position } from '../../feed/position.js'
import type { Clock } from '../../time/clock.js'
import type { CacheFeed } from '../cache.js'

export interface FeedStateOptions {
  /** A proof that is older is none. */
  readonly maxSilenceMs: number
  /** How long a read waits for a position. */
  readonly waitMs: number
  readonly clock: Clock
}

/** What happened: a transaction was applied, or everything before a time. */
interface Told {
  readonly xid?: bigint
  readonly asOf?: number
}

const maxApplied = 10_000

export class FeedState {
  readonly #options: FeedStateOptions
  #feed: Pick<CacheFeed, 'waitFor' | 'redisEpoch'> | undefined
  #asOf = Number.NEGATIVE_INFINITY
  /** How far the wall's clock was ahead of the other when they were looked at last. */
  #wallAheadMs = Number.NaN
  /** A proof of before is none. */
  #provenFromMs = Number.NEGATIVE_INFINITY
  #position: Position | null = null
  #lastEpoch: string | null = null
  #redisFromMs = Number.NEGATIVE_INFINITY
  /** The last transactions that were applied. */
  readonly #applied = new Set<bigint>()
  readonly #waiting = new Set<(told: Told) => void>()

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

  passed(position: Position, xid: bigint): void {
    this.#position = position
    this.#applied.add(xid)
    if (this.#applied.size > maxApplied) this.#applied.delete(this.#applied.values().next().value!)
    this.#tell({ xid })
  }

  prove({ asOf, position }: FreshnessProof): void {
    this.#look(this.#options.clock.monotonicMs())
    if (asOf >= this.#provenFromMs) this.#asOf = Math.max(this.#asOf, asOf)
    this.#position = position
    this.#tell({ asOf })
  }

  /** What was proven was of another history. */
  reset(position: Position): void {
    this.#asOf = Number.NEGATIVE_INFINITY
    this.#position = position
    this.#applied.clear()
  }

  get freshnessMs(): number {
    return this.#options.clock.monotonicMs() - this.#asOf
  }

  get isFresh(): boolean {
    return this.isFreshAt(this.#options.clock.monotonicMs())
  }

  /** For who has looked at the clock already, in the same turn. */
  isFreshAt(nowMs: number): boolean {
    this.#look(nowMs)
    return nowMs - this.#asOf <= this.#options.maxSilenceMs
  }

  /** While a machine sleeps, or is suspended, the wall's clock alone goes on, or is set afterwards: what was proven before is as old as that. */
  #look(nowMs: number): void {
    const aheadMs = this.#options.clock.now() - nowMs
    if (aheadMs - this.#wallAheadMs > this.#options.maxSilenceMs) {
      this.#asOf = Number.NEGATIVE_INFINITY
      this.#provenFromMs = nowMs
    }
    this.#wallAheadMs = aheadMs
  }

  /** The connection to Redis was lost or made: it may have lost its state, and is asked again once a proof from after that has come (S12). */
  redisChanged(): void {
    this.#redisFromMs = this.#options.clock.monotonicMs()
  }

  /** Of what Redis holds; null while Redis may not be asked. */
  get redisEpoch(): string | null {
    if (this.#asOf < this.#redisFromMs) return null
    const epoch = this.#feed?.redisEpoch() ?? null
    if (epoch !== null) this.#lastEpoch = epoch
    return epoch
  }

  /** The last one there was: for values that may be answered as stale. */
  get lastRedisEpoch(): string | null {
    return this.redisEpoch ?? this.#lastEpoch
  }

  /**
   * Waits until everything up to a position is applied, or the transaction that it names. False where that takes too long, or the position is
   * of another history.
   */
  async reach(position: Position, signal?: AbortSignal): Promise<boolean> {
    const own = this.#position
    if (own === null || own.epoch !== position.epoch || !this.#feed) return false
    const isCounted = !position.epoch.startsWith('outbox-')
    if (position.xid !== undefined && this.#applied.has(position.xid)) return true
    if (isCounted && own.number >= position.number) return true
    signal?.throwIfAborted()
    const over = new AbortController()
    const both = signal ? AbortSignal.any([signal, over.signal]) : over.signal
    try {
      return await Promise.race([
        this.#told(({ xid }) => xid !== undefined && xid === position.xid, both),
        // Writers cannot know the numbers of the outbox: what was committed before the read began is waited for.
        isCounted ? this.#passedBy(position, both) : this.#told(this.#provenFrom(this.#options.clock.monotonicMs()), both),
        this.#options.clock.sleep(this.#options.waitMs, both).then(() => false),
      ])
    } finally {
      over.abort()
    }
  }

  async #passedBy(position: Position, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#feed!.waitFor(position, { timeoutMs: this.#options.waitMs, signal })
      return true
    } catch (error) {
      if (isTidemarkError(error)) return false
      throw error
    }
  }

  readonly #provenFrom =
    (fromMs: number) =>
    ({ asOf }: Told): boolean =>
      asOf !== undefined && asOf >= fromMs

  /** Resolves at the first news that will do; never after the signal. */
  #told(isIt: (told: Told) => boolean, signal: AbortSignal): Promise<true> {
    return new Promise((resolve) => {
      const waiting = (told: Told): void => {
        if (isIt(told)) resolve(true)
      }
      this.#waiting.add(waiting)
      signal.addEventListener('abort', () => this.#waiting.delete(waiting), { once: true })
    })
  }

  #tell(told: Told): void {
    for (const each of this.#waiting) each(told)
  }
}
