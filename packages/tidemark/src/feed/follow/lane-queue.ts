import type { FeedReset, FreshnessProof, TransactionPiece } from '../feed.js'
import type { Position } from '../position.js'

/** What waits for one follower, in order. `passed`: nothing of a transaction was for it. */
export type LaneItem =
  | { readonly type: 'piece'; readonly piece: TransactionPiece; readonly bytes: number }
  | { readonly type: 'passed'; readonly position: Position }
  | { readonly type: 'fresh'; readonly proof: FreshnessProof }
  | { readonly type: 'reset'; readonly reset: FeedReset }

export interface LaneLimits {
  readonly maxQueuedBytes: number
  readonly maxQueuedChanges: number
}

/** A queue with a bound: whoever fills it waits for room, whoever empties it waits for something. */
export class LaneQueue {
  readonly #limits: LaneLimits
  readonly #signal: AbortSignal
  #items: LaneItem[] = []
  #first = 0
  #changes = 0
  #bytes = 0
  #isFull = false
  #wakeTaker = (): void => {}
  #wakeGiver = (): void => {}

  /** Aborting the signal ends all waiting. */
  constructor(limits: LaneLimits, signal: AbortSignal) {
    this.#limits = limits
    this.#signal = signal
    // One listener for good: one for each wait would pile up.
    const wake = () => {
      this.#wakeTaker()
      this.#wakeGiver()
    }
    signal.addEventListener('abort', wake, { once: true })
  }

  get changes(): number {
    return this.#changes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** True while somebody waits for room in it. */
  get isFull(): boolean {
    return this.#isFull
  }

  get isEmpty(): boolean {
    return this.#first === this.#items.length
  }

  /** Resolves when the item was taken in; a piece larger than the bound waits for an empty queue. */
  async give(item: LaneItem): Promise<void> {
    while (item.type === 'piece' && !this.#signal.aborted && !this.#fits(item)) {
      this.#isFull = true
      await new Promise<void>((resolve) => {
        this.#wakeGiver = resolve
      })
    }
    this.#isFull = false
    this.#signal.throwIfAborted()
    while (this.#saysLess(item)) this.#items.pop()
    this.#items.push(item)
    this.#count(item, 1)
    this.#wakeTaker()
  }

  /** Of positions that were passed, and of proofs, one after the other, the last says it all; a proof tells a position as well. */
  #saysLess({ type }: LaneItem): boolean {
    // The first one may be at work already.
    if (this.#items.length - this.#first < 2 || (type !== 'passed' && type !== 'fresh')) return false
    const last = this.#items.at(-1)?.type
    return last === type || (last === 'passed' && type === 'fresh')
  }

  #fits({ piece, bytes }: LaneItem & { readonly type: 'piece' }): boolean {
    if (this.#changes === 0) return true
    const { maxQueuedBytes, maxQueuedChanges } = this.#limits
    return this.#changes + piece.changes.length <= maxQueuedChanges && this.#bytes + bytes <= maxQueuedBytes
  }

  #count(item: LaneItem, by: 1 | -1): void {
    if (item.type !== 'piece') return
    // A piece without changes (the end of a transaction) has its place as well.
    this.#changes += by * Math.max(1, item.piece.changes.length)
    this.#bytes += by * item.bytes
  }

  /** The first item, which stays until {@link done}; undefined once the signal is aborted. */
  async first(): Promise<LaneItem | undefined> {
    while (this.isEmpty && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wakeTaker = resolve
      })
    }
    return this.#signal.aborted ? undefined : this.#items[this.#first]
  }

  /** Takes the first item away. */
  done(): void {
    const item = this.#items[this.#first]
    if (!item) return
    this.#count(item, -1)
    this.#first += 1
    if (this.#first > 1_000 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first)
      this.#first = 0
    }
    if (this.isEmpty) {
      this.#items = []
      this.#first = 0
    }
    this.#wakeGiver()
  }
}
