import {
  type Change,
  columnValue,
  type FeedReset,
  type Follower,
  type FreshnessProof,
  isRowChange,
  type TransactionPiece,
} from '../../feed/feed.js'
import { losesNothing } from '../../feed/loses-nothing.js'
import { isSameEpoch, type Position } from '../../feed/position.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { BroadcastListener, DatabaseBroadcasts, DatabaseMessage } from './messages.js'

export interface MessageFollower extends Follower, DatabaseBroadcasts {}

const messagesTable = 'realtime.messages'

/** What is broadcast: probes have no event, and presence is kept nowhere. */
const messageOf = (change: Change): DatabaseMessage | undefined => {
  if (!isRowChange(change) || change.kind !== 'insert') return undefined
  const value = (column: string) => columnValue(change.relation, change.new, column)
  const [id, topic, event, binary] = [value('id'), value('topic'), value('event'), value('binary_payload')]
  if (value('extension') !== 'broadcast' || id == null || topic == null || event == null) return undefined
  const payload: DatabaseMessage['payload'] =
    binary == null
      ? { kind: 'json', text: value('payload') ?? 'null' }
      : { kind: 'binary', bytes: Buffer.from(binary.replace(/^\\x/, ''), 'hex') }
  // Without a word about it a message is for everybody, as the column's default says.
  return { id, topic, event, private: value('private') === 't', payload }
}

export interface MessageFollowerOptions {
  /** False where the database has no `realtime.messages` that may be followed: then there is nothing to tell. Default true. */
  readonly follows?: boolean | undefined
  readonly clock?: Clock | undefined
  readonly log?: Logger | undefined
}

/** Follows `realtime.messages`, and tells each message once for as long as the process lives. */
class Messages implements MessageFollower {
  readonly name = 'realtime-messages'
  readonly tables: readonly string[]
  readonly #listeners = new Set<BroadcastListener>()
  readonly #log: Logger
  /** The next change that was not told yet. */
  #next: { readonly position: Position; readonly ordinal: number } | undefined
  /** Every transaction up to here was given. */
  #reached: Position | undefined
  #started = false
  readonly #bornAt: number
  #caughtUp = false

  constructor({ follows = true, clock = systemClock, log = silentLogger }: MessageFollowerOptions) {
    this.tables = follows ? [messagesTable] : []
    this.#bornAt = clock.now()
    this.#log = log
  }

  listen(listener: BroadcastListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  async apply({ position, firstOrdinal, changes, committedAt, last }: TransactionPiece): Promise<void> {
    this.#started = true
    // The feed may begin with what was told before this process was there. Its clients came later.
    const isBefore = !this.#caughtUp && committedAt.getTime() < this.#bornAt
    changes.forEach((change, index) => {
      const ordinal = firstOrdinal + index
      if (this.#isTold(position, ordinal)) return
      this.#next = { position, ordinal: ordinal + 1 }
      const message = isBefore ? undefined : messageOf(change)
      if (message) this.#tell((listener) => listener.message(message, position))
      else if (change.kind === 'changed') this.#tell((listener) => listener.gap?.())
    })
    if (last) this.#reached = position
  }

  async reset(reset: FeedReset): Promise<void> {
    if (losesNothing(reset, this.#reached)) return
    this.#reached = reset.position
    // What was there before anybody listened is missed by nobody.
    if (this.#started) this.#tell((listener) => listener.gap?.())
    this.#started = true
  }

  fresh({ position }: FreshnessProof): void {
    this.#caughtUp = true
    this.#reached = position
  }

  #isTold(position: Position, ordinal: number): boolean {
    const next = this.#next
    if (!next || !isSameEpoch(position, next.position)) return false
    return position.number === next.position.number ? ordinal < next.ordinal : position.number < next.position.number
  }

  /** One that fails keeps nothing from the others. */
  #tell(how: (listener: BroadcastListener) => void): void {
    for (const listener of this.#listeners) {
      try {
        how(listener)
      } catch (err) {
        this.#log.error('a listener of messages failed', { err })
      }
    }
  }
}

export const createMessageFollower = (options: MessageFollowerOptions = {}): MessageFollower => new Messages(options)
