/**
 * The fan-out: one node reads the source and publishes each transaction to a Redis Stream, the others tail that stream (FEED-2).
 *
 *            slot free, or its holder silent                      Redis silent, another holds the slot
 *   ┌─────► reading ◄──────────────────── tailing ◄──────────────► apart (a temporary slot of its own)
 *   │          │   fenced by a successor     ▲ beats are heard           │ slot free
 *   └── away ◄─┴─ what cannot go on ─────────┴───────────────────────────┘
 */
import type { Logger } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'
import type { Clock } from '../../time/clock.js'
import type { Source, SourceLag, TransactionPiece } from '../feed.js'
import type { Position } from '../position.js'
import { isStreamOf } from './stream/stream-keys.js'

/** A source whose hold is exclusive: `open` takes it, and raises TM_FEED_SLOT_BUSY where another process has it. */
export interface LeasedSource extends Source {
  /** Gives the position from which the feed goes on. */
  open(signal?: AbortSignal): Promise<Position>
}

/** Who has the right to read. */
export type LeaseHolder =
  | { readonly state: 'absent' }
  | { readonly state: 'free' }
  /** `pid`: of the server process that serves the holder. */
  | { readonly state: 'held'; readonly pid: number }

export interface Lease {
  holder(): Promise<LeaseHolder>
  /** Ends that holder's hold, and nobody else's. */
  takeOver(pid: number): Promise<void>
}

/** How a node comes to its changes. */
export interface FeedSources {
  /** Makes the source that one node of all reads. */
  reader(): LeasedSource
  /** Makes a source for this node alone; nothing where the database gives none. */
  temporary?(): LeasedSource | undefined
  readonly lease: Lease
  /** Names the database and the slot: what the nodes of one feed have in common. Letters, digits, `-` and `_`. */
  scope(): Promise<string>
}

/** What the fan-out asks of Redis. */
export interface FanOutRedis {
  /** The connection that is shared with everybody. */
  readonly redis: Redis
  /** Opens another to the same server: reads on it block. */
  connect(name: string): Promise<Redis>
}

/** Called with pieces before they are published, in order: what has to be gone from Redis when other nodes hear of them (CACHE-4). */
export type BeforePublish = (pieces: readonly TransactionPiece[]) => Promise<void>

export interface FanOutOptions {
  readonly sources: FeedSources
  readonly redis: FanOutRedis
  /** For so long without a beat the reader counts as dead, and a proof as stale. Default 1,000. */
  readonly maxSilenceMs?: number
  /** For so long the source can give again what was published, and the stream keeps it. Default 60,000. */
  readonly replayWindowMs?: number
  /**
   * Where this node begins when it starts: at the newest change, or at the oldest that is kept, so that its followers know what went by shortly
   * before. With `oldest` the source keeps the replay window also where there is no Redis. Default `newest`; the node that reads begins at what
   * the source keeps in any case.
   */
  readonly begins?: 'newest' | 'oldest'
  /** A transaction with more changes, or more bytes, is published as one marker for each table. Default 10,000 and 4 MiB. */
  readonly maxTransactionChanges?: number
  readonly maxTransactionBytes?: number
  /** Roughly the size of one entry. Default 128 KiB. */
  readonly maxEntryBytes?: number
  /** The stream gives up older entries, however young, above this. Default 64 MiB. */
  readonly maxStreamBytes?: number
  readonly onBeforePublish?: BeforePublish
  /** Names what `onBeforePublish` takes out of Redis. Where the reading node names another, this one answers nothing from Redis. Default: nothing. */
  readonly purges?: string
  /** Called before the first entry of a new stream: what Redis holds may be of another past (the stream's epoch voids it). */
  readonly onStreamEpoch?: (epoch: string) => Promise<void>
  readonly clock?: Clock
  readonly log?: Logger
}

/** `away`: no changes come at present; the node tries again. */
export type FeedRole = 'reading' | 'tailing' | 'apart' | 'away'

export interface FeedNodeState {
  readonly role: FeedRole
  /** The epoch of the positions; null before the first event. */
  readonly epoch: string | null
  /** The epoch of what Redis holds for the feed; null while this node neither publishes nor tails. */
  readonly streamEpoch: string | null
  /** The epoch that values in Redis may be answered of; null while changes may not have been taken out of Redis yet (CACHE-4). */
  readonly redisEpoch: string | null
  /** Why it is `away`, or what it goes on without. One sentence. */
  readonly problem: string | null
}

/**
 * The epoch that values in Redis may be answered of by who has applied everything up to `at`; null where that is of another history than the
 * stream: until the reset between the two is applied, the numbers of what is loaded would mean nothing to others.
 */
export const redisEpochAt = ({ redisEpoch }: FeedNodeState, at: Position | null): string | null =>
  redisEpoch !== null && at !== null && isStreamOf(redisEpoch, at.epoch) ? redisEpoch : null

/** All a node's changes, whatever its role is at the moment, as one {@link Source} that a feed follows. */
export interface FanOut {
  readonly source: Source
  state(): FeedNodeState
  /** Called at each change of the role. Gives what ends it. */
  onRole(listener: (state: FeedNodeState) => void): () => void
  lag(): Promise<SourceLag>
  stop(): Promise<void>
}
