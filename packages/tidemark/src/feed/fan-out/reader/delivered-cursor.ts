import { type FeedEvent, isRowChange, type TransactionPiece } from '../../feed.js'
import type { Position } from '../../position.js'

interface Place {
  readonly epoch: string
  readonly number: bigint
  /** Changes of the transaction `number` that were given; all of them where it is complete. */
  readonly given: number | 'all'
}

/** What is left of a piece of which some changes were given before. */
const withoutGiven = (piece: TransactionPiece, given: number): TransactionPiece | undefined => {
  const skip = given - piece.firstOrdinal
  // A marker stands for the table, whatever was given of its rows.
  if (skip <= 0 || !piece.changes.every(isRowChange)) return piece
  const changes = piece.changes.slice(skip)
  if (changes.length === 0 && !piece.last) return undefined
  return { ...piece, changes, firstOrdinal: piece.firstOrdinal + Math.min(skip, piece.changes.length) }
}

/** How far a node's followers were given the feed, so that a change of its role neither repeats nor skips anything. */
export class DeliveredCursor {
  #place: Place | undefined

  constructor(from?: Position) {
    if (from) this.#place = { ...from, given: 'all' }
  }

  /** From here the feed has to be given; a transaction that was given in part, once more as a whole. Undefined at first. */
  get position(): Position | undefined {
    if (!this.#place) return undefined
    const { epoch, number, given } = this.#place
    return { epoch, number: given === 'all' ? number : number - 1n }
  }

  /** The last transaction of which anything was given; 0 at first. */
  get reached(): bigint {
    return this.#place?.number ?? 0n
  }

  /** The event as it is to be given; undefined where it was given before. */
  admit(event: FeedEvent): FeedEvent | undefined {
    if (event.type === 'transaction') return this.#admitPiece(event)
    const { epoch, number } = event.position
    if (event.type === 'reset') {
      const known = this.#place?.epoch === event.epoch
      // Said by a source that does not know how far this node is.
      if (known && event.reason === 'start') return undefined
      if (!known || number > (this.#place?.number ?? 0n)) this.#place = { epoch: event.epoch, number, given: 'all' }
    } else if (this.#place?.epoch === epoch && number > this.#place.number) this.#place = { epoch, number, given: 'all' }
    return event
  }

  #admitPiece(piece: TransactionPiece): TransactionPiece | undefined {
    const { epoch, number } = piece.position
    const place = this.#place
    if (place?.epoch === epoch) {
      if (number < place.number || (number === place.number && place.given === 'all')) return undefined
    }
    const given = place?.epoch === epoch && place.number === number && place.given !== 'all' ? place.given : 0
    const left = withoutGiven(piece, given)
    if (left) this.#place = { epoch, number, given: left.last ? 'all' : Math.max(given, left.firstOrdinal + left.changes.length) }
    return left
  }
}
