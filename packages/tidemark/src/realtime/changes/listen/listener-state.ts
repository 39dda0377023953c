import type { Position } from '../../../feed/position.js'
import { isVisible, type Snapshot } from '../../../feed/sources/wal/snapshot.js'
import type { ChangeListener } from '../../realtime.js'
import type { RingChange, RingEntry } from '../keep/change-ring.js'
import type { Beholder } from '../visibility-port.js'
import type { Bound } from './binding-index.js'

/** What was visible when a listener began, while changes of that time may still come. */
export interface Birth {
  readonly snapshot: Snapshot
  /** On the monotonic clock, once it was known. When the feed is proven to be past it, what was visible has been given. */
  readonly at: number
}

/** From a moment on, of a history that may be read from further back: what it is said to begin with, and what was visible then. */
export interface Fresh {
  readonly start: Position
  readonly birth: Birth | undefined
}

export interface ListenerOptions {
  readonly listener: ChangeListener
  readonly beholder: Beholder
  /** It is told what comes after this place. */
  readonly from: Position
  readonly ordinal: number | undefined
  /** What it was said to begin with: at `from` or later. */
  readonly start: Position
}

/** One listener: who it is, what it asked for, how far it was told. */
export class ListenerState {
  readonly listener: ChangeListener
  bounds: readonly Bound<ListenerState>[] = []
  beholder: Beholder
  /** Counts its callers: a verdict on one says nothing about the next. */
  generation = 0
  /** Counts its beginnings: what was found for it before is void. */
  life = 0
  closed = false
  birth: Birth | undefined
  /** It reads the ring from this sequence on, and no changes as they come; undefined once it has caught up. */
  replaysFrom: number | undefined
  /** The transaction in the middle of which it stopped reading. */
  within: bigint | undefined
  /** Positions of what waits to be judged for it, in order, behind those that have been; of quiet ones nothing ever does. */
  #waiting: bigint[] | undefined
  #judged = 0
  #from: Position
  #ordinal: number | undefined
  #told: bigint
  #passed: bigint
  constructor({ listener, beholder, from, ordinal, start }: ListenerOptions) {
    this.listener = listener
    this.beholder = beholder
    this.#from = from
    this.#ordinal = ordinal
    this.#told = from.number
    this.#passed = start.number
  }

  /**
   * Nothing before this position counts any more, nor what was visible by a moment that came later. False for who was told all of that, elsewhere: it goes on behind what it was told, in the
   * middle of a transaction too, and misses nothing.
   */
  restart(from: Position, fresh: Fresh): boolean {
    this.replaysFrom = undefined
    this.within = undefined
    this.forget()
    const isBehind = this.#from.epoch !== from.epoch || this.#from.number < from.number
    if (isBehind) this.#beginAt(from, fresh)
    return isBehind
  }

  #beginAt(from: Position, { start, birth }: Fresh): void {
    this.#from = from
    this.#ordinal = undefined
    this.#told = from.number
    this.#passed = start.number
    this.birth = birth
  }

  /** What waits for it is void. */
  forget(): void {
    this.#waiting = undefined
    this.#judged = 0
    this.life += 1
  }

  get isWaiting(): boolean {
    return this.#waiting !== undefined
  }

  /** What is at this position waits to be judged for it. */
  wait(number: bigint): void {
    if (this.#waiting) this.#waiting.push(number)
    else this.#waiting = [number]
  }

  /** The first of what waited is judged. */
  judged(): void {
    this.#judged += 1
    const left = (this.#waiting?.length ?? 0) - this.#judged
    if (left > 0 && (this.#judged < 1_000 || this.#judged < left)) return
    this.#waiting = left > 0 ? this.#waiting?.slice(this.#judged) : undefined
    this.#judged = 0
  }

  /** Whether a change comes after what it began with. */
  concerns({ position, ordinal, xid }: RingChange): boolean {
    const { number } = this.#from
    if (position.number <= number) {
      if (position.number < number || this.#ordinal === undefined || ordinal <= this.#ordinal) return false
    }
    return this.birth === undefined || xid === 0n || !isVisible(xid, this.birth.snapshot)
  }

  /** It goes on with this entry of the ring when its client has read. `isWithin`: it was told of the same transaction before. */
  putOff({ sequence, change: { position } }: RingEntry, isWithin: boolean): void {
    const { number } = position
    this.forget()
    this.replaysFrom = sequence
    this.within = isWithin ? number : undefined
    // What it was told out of turn says nothing of what lies before.
    if (this.#told >= number) this.#told = isWithin ? number : number - 1n
  }

  told(number: bigint): void {
    if (number > this.#told) this.#told = number
  }

  /** Says how far it was told. `head`: the last position of which everything is known. */
  pass(head: Position): void {
    if (this.closed || head.epoch !== this.#from.epoch) return
    const next = this.#waiting?.[this.#judged]
    let { number } = head
    if (this.replaysFrom !== undefined && this.#told < number) number = this.#told
    if (next !== undefined && next <= number) number = this.#told < next ? this.#told : next - 1n
    if (number === this.within) number -= 1n
    if (number <= this.#passed) return
    this.#passed = number
    // Mostly all listeners have come to one place, and keep one object.
    this.listener.passed(number === head.number ? head : { epoch: head.epoch, number })
  }
}
