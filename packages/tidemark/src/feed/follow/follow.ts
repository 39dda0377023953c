/** The feed's runtime: one source, many followers, each at its own pace within a bound. */
import type { Logger, Metrics } from '../../observability/observability.js'
import type { Clock } from '../../time/clock.js'
import type { Follower, Source } from '../feed.js'
import type { Position } from '../position.js'

export interface FeedOptions {
  readonly source: Source
  /** Names are unique. */
  readonly followers: readonly Follower[]
  /** Where to go on, where that is later than what is confirmed. */
  readonly from?: Position
  /**
   * Positions that durable followers have stored, also of those that are not part of this feed for now: nothing behind them is confirmed, so that
   * one that comes back has missed nothing. Ask `storedPositions`; whoever leaves a follower out for good forgets its position.
   */
  readonly storedPositions?: () => Promise<readonly Position[]>
  /** What waits for one follower; beyond it the source waits. A single piece larger than that still passes. Default 16 MiB. */
  readonly maxQueuedBytes?: number
  /** Default 20,000. */
  readonly maxQueuedChanges?: number
  /** A failed piece is given again after a random part of this, then of twice as much …. Default 100. */
  readonly retryBaseMs?: number
  /** Default 30,000. */
  readonly retryMaxMs?: number
  /** How often at most what is done is confirmed to the source, and durable followers are asked for what they stored. Default 500. */
  readonly confirmEveryMs?: number
  readonly clock?: Clock
  readonly log?: Logger
  readonly metrics?: Metrics
  /** From 0 up to 1. */
  readonly random?: () => number
}

export interface FollowerHealth {
  readonly name: string
  readonly state: 'running' | 'failing'
  /** Everything up to here was applied, or held nothing for it. */
  readonly position: Position | null
  /** The position that a durable follower last said to have stored. */
  readonly stored: Position | null
  readonly queuedChanges: number
  readonly queuedBytes: number
  /** True while its queue is full: the source, and with it every other follower, waits for this one. */
  readonly holdsUp: boolean
  /** How long it has been at what it works on now; 0 while it has nothing to do. */
  readonly workingMs: number
  /** Attempts at the present piece that failed, one after the other. */
  readonly failures: number
  readonly lastError: string | null
  /** Wall time of the first of these failures, in milliseconds since 1970. */
  readonly failingSince: number | null
  /** Milliseconds since this follower was proven fresh; Infinity where it never was. */
  readonly freshnessMs: number
}

export interface FeedHealth {
  /** `failed`: the source gave up, see {@link Feed.done}. */
  readonly state: 'idle' | 'running' | 'stopped' | 'failed'
  readonly lastError: string | null
  readonly followers: readonly FollowerHealth[]
}

export interface WaitOptions {
  /** Wait for this follower alone. Default: for all. */
  readonly follower?: string
  /** Default 5,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** Carries the source's events to its followers until it is stopped. */
export interface Feed {
  /** Starts reading; aborting the signal is a stop. Once. */
  start(signal?: AbortSignal): Promise<void>
  /** Ends reading, waits for what is being applied, confirms what is done and stops the source. What is queued is given again next time. */
  stop(): Promise<void>
  /** Resolves once stopped; rejects with what the source raised, when that cannot pass by waiting. */
  readonly done: Promise<void>
  /** How far all followers are; null before anything is known. */
  position(): Position | null
  /**
   * Resolves when all followers, or the one named, have passed the position. Raises TM_FEED_TIMEOUT, TM_FEED_EPOCH where the feed goes on in
   * another history, TM_FEED_STOPPED, and the signal's reason.
   */
  waitFor(position: Position, options?: WaitOptions): Promise<void>
  /**
   * Milliseconds since all followers (or the one named) were proven fresh: whatever was committed before has been applied. Infinity where
   * nothing is proven.
   */
  freshness(follower?: string): number
  health(): FeedHealth
}
