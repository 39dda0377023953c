import { type FeedReset, type Follower, type Relation, type TransactionPiece, tableName } from '../feed.js'
import type { Position } from '../position.js'
import type { LaneItem } from './lane-queue.js'
import { changesBytes } from './piece-size.js'

/** Decides what of the events is for one follower, and leaves out what it has had. */
export class LaneFilter {
  readonly #tables: ReadonlySet<string> | undefined
  readonly #relations = new WeakMap<Relation, boolean>()
  /** Nothing is known of a follower without a position of its own: it begins with a reset. */
  #epoch: string | undefined
  /** Every transaction up to here is given, or was stored by the follower before. */
  #through = -1n
  /** A transaction given in part, and the ordinal that comes next. */
  #part: { readonly number: bigint; readonly next: number } | undefined
  /** It has seen part of the present transaction. */
  #seen = false

  constructor(tables: Follower['tables'], stored: Position | null) {
    this.#tables = tables === 'all' ? undefined : new Set(tables)
    if (stored === null) return
    this.#epoch = stored.epoch
    this.#through = stored.number
  }

  /**
   * The reset as it concerns this follower: one that knows where it is needs none where the source merely begins in its history. What it has not
   * stored was never confirmed, see `FeedOptions.storedPositions`.
   */
  reset(reset: FeedReset): FeedReset | undefined {
    const { epoch, position, reason } = reset
    const known = this.#epoch
    if (reason === 'start' && known === epoch) return undefined
    this.#epoch = epoch
    this.#through = position.number
    this.#part = undefined
    this.#seen = false
    return reason === 'start' && known !== undefined ? { ...reset, reason: 'newHistory' } : reset
  }

  /** The reset that has to come before an event at this position, where the source gave none. */
  resetBefore({ epoch, number }: Position): FeedReset | undefined {
    if (this.#epoch === epoch) return undefined
    return this.reset({ type: 'reset', epoch, reason: 'start', position: { epoch, number } })
  }

  piece(piece: TransactionPiece): LaneItem | undefined {
    const { number } = piece.position
    if (number <= this.#through) return undefined
    const fresh = this.#withoutGiven(piece)
    this.#part = {
      number,
      next: Math.max(piece.firstOrdinal + piece.changes.length, this.#part?.number === number ? this.#part.next : 0),
    }
    const { changes, ordinals } = this.#followed(fresh)
    const relevant = changes.length > 0 || (piece.last && this.#seen)
    this.#seen = !piece.last && (relevant || this.#seen)
    if (piece.last) {
      this.#through = number
      this.#part = undefined
    }
    if (relevant) {
      const own = changes === piece.changes ? piece : { ...fresh, changes, ...(ordinals && { ordinals }) }
      return { type: 'piece', piece: own, bytes: changesBytes(changes) }
    }
    return piece.last ? { type: 'passed', position: piece.position } : undefined
  }

  /** After a lost connection a source gives a transaction from its beginning. */
  #withoutGiven(piece: TransactionPiece): TransactionPiece {
    const had = this.#part?.number === piece.position.number ? this.#part.next - piece.firstOrdinal : 0
    if (had <= 0) return piece
    return { ...piece, firstOrdinal: piece.firstOrdinal + Math.min(had, piece.changes.length), changes: piece.changes.slice(had) }
  }

  /** The changes of its tables, and which numbers they have where others were left out. */
  #followed(piece: TransactionPiece): Pick<TransactionPiece, 'changes' | 'ordinals'> {
    const { changes, firstOrdinal } = piece
    if (!this.#tables) return piece
    const ordinals: number[] = []
    const followed = changes.filter(({ relation }, index) => this.#isFollowed(relation) && ordinals.push(firstOrdinal + index))
    return followed.length === changes.length ? piece : { changes: followed, ordinals }
  }

  #isFollowed(relation: Relation): boolean {
    let followed = this.#relations.get(relation)
    if (followed === undefined) {
      followed = this.#tables?.has(tableName(relation)) ?? true
      this.#relations.set(relation, followed)
    }
    return followed
  }
}
