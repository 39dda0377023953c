import type { FeedEvent, SourceLag } from '../../feed.js'
import type { Position } from '../../position.js'
import type { FeedRole, LeasedSource } from '../fan-out.js'

/** One node's time in one role. */
export interface Stint {
  readonly role: FeedRole
  readonly streamEpoch: () => string | null
  /** The same, while nothing in Redis is older than what this node's followers were given. */
  readonly redisEpoch: () => string | null
  /** What this node goes without, in this role. One sentence. */
  readonly lacks?: () => string | null
  /** Ends when another role is due, and raises what ended it. */
  events(signal: AbortSignal): AsyncIterable<FeedEvent>
  lag(): Promise<SourceLag>
  /** Lets go of what the role held. */
  stop(): Promise<void>
}

/** A source whose lease this node has got, and from where it goes on. */
export interface Taken {
  readonly source: LeasedSource
  readonly base: Position
}

/** Resolves when the signal is aborted. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
