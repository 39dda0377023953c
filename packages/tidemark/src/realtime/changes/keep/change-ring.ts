import type { Position } from '../../../feed/position.js'
import type { TableId } from '../../../feed/table-id.js'
import type { PlacedChange } from '../tell/told-change.js'

/** A change of a row, or of a table as a whole. */
export type RingChange =
  | (PlacedChange & { readonly kind: 'row'; readonly xid: bigint })
  | {
      readonly kind: 'table'
      readonly position: Position
      readonly ordinal: number
      readonly xid: bigint
      readonly table: TableId
    }

export interface RingEntry {
  /** Counts the entries of this process, so that places among them can be kept. */
  readonly sequence: number
  readonly change: RingChange
  readonly bytes: number
  readonly at: number
}

export interface RingLimits {
  readonly maxBytes: number
  readonly maxAgeMs: number
}

/** Everything after this place is in the ring. */
interface Floor {
  readonly number: bigint
  /** Changes of that transaction that are gone; all of them where it is undefined. */
  readonly ordinal: number | undefined
}

/**
 * The newest changes, in order, bounded by bytes and age: whoever comes back finds there what it missed. It begins anew with each history.
 */
export class ChangeRing {
  readonly #limits: RingLimits
  #entries: RingEntry[] = []
  #first = 0
  #bytes = 0
  #sequence = 0
  #epoch = ''
  #floor: Floor = { number: 0n, ordinal: undefined }
  #head = 0n
  /** The head as one object for all who keep it. */
  #place: Position | undefined
  #last: { readonly number: bigint; readonly ordinal: number } | undefined

  constructor(limits: RingLimits) {
    this.#limits = limits
  }

  /** Empties it: what comes now comes after this position. */
  begin({ epoch, number }: Position): void {
    this.#entries = []
    this.#first = 0
    this.#bytes = 0
    this.#epoch = epoch
    this.#floor = { number, ordinal: undefined }
    this.#head = number
    this.#last = undefined
  }

  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#entries.length - this.#first
  }

  /** Everything up to here was appended, or was not for the ring. Undefined before it begins. */
  get head(): Position | undefined {
    if (this.#epoch === '') return undefined
    if (this.#place?.epoch !== this.#epoch || this.#place.number !== this.#head)
      this.#place = { epoch: this.#epoch, number: this.#head }
    return this.#place
  }

  /** The sequence that the next entry gets. */
  get next(): number {
    return this.#sequence
  }

  /** The sequence of the oldest entry that is kept. */
  get oldest(): number {
    return this.#entries[this.#first]?.sequence ?? this.#sequence
  }

  /** Whether it was appended before, or lies before the beginning: the feed may give something again. */
  has({ position: { epoch, number }, ordinal }: Pick<RingChange, 'position' | 'ordinal'>): boolean {
    if (epoch !== this.#epoch) return false
    return number <= this.#head || (number === this.#last?.number && ordinal <= this.#last.ordinal)
  }

  append(change: RingChange, bytes: number, at: number): RingEntry {
    this.#last = { number: change.position.number, ordinal: change.ordinal }
    const entry = { sequence: this.#sequence, change, bytes, at }
    this.#sequence += 1
    this.#entries.push(entry)
    this.#bytes += bytes
    return entry
  }

  /** The transaction at this position is complete, or nothing up to it was for the ring. */
  pass(number: bigint): void {
    if (number > this.#head) this.#head = number
  }

  /** Lets go of what is too much or too old. */
  trim(now: number): void {
    const { maxBytes, maxAgeMs } = this.#limits
    for (let oldest = this.#entries[this.#first]; oldest; oldest = this.#entries[this.#first]) {
      if (this.#bytes <= maxBytes && now - oldest.at <= maxAgeMs) break
      this.#first += 1
      this.#bytes -= oldest.bytes
      const { position, ordinal } = oldest.change
      this.#floor = { number: position.number, ordinal }
    }
    if (this.#first < 1_000 || this.#first * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#first)
    this.#first = 0
  }

  /** Whether nothing is missing after this place. */
  covers({ epoch, number }: Position, ordinal: number | undefined): boolean {
    if (epoch !== this.#epoch || number < this.#floor.number) return false
    if (number > this.#floor.number || ordinal === undefined) return true
    return this.#floor.ordinal !== undefined && ordinal >= this.#floor.ordinal
  }

  /** The sequence of the first entry after this place, which is covered. */
  after({ number }: Position, ordinal: number | undefined): number {
    let [low, high] = [this.#first, this.#entries.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const { position, ordinal: own } = (this.#entries[middle] as RingEntry).change
      const isAfter = position.number > number || (position.number === number && ordinal !== undefined && own > ordinal)
      if (isAfter) high = middle
      else low = middle + 1
    }
    return this.#entries[low]?.sequence ?? this.#sequence
  }

  /** By its sequence; undefined where it is not kept, or not there yet. */
  get(sequence: number): RingEntry | undefined {
    const offset = sequence - this.oldest
    return offset < 0 ? undefined : this.#entries[this.#first + offset]
  }
}
