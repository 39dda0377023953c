import { TidemarkError } from '../../errors.js'
import type { TransactionPiece } from '../../feed/feed.js'
import { formatPosition } from '../../feed/position.js'

/** Pieces of a transaction come one after another, also over a connection that was made again. */
export class PieceSequence {
  #begun: { readonly number: bigint; readonly next: number } | undefined

  /** True within a transaction of which a part is applied. */
  get isWithin(): boolean {
    return this.#begun !== undefined
  }

  /** Raises TM_FEED_PROTOCOL where a piece is missing. */
  take({ position, firstOrdinal, changes }: TransactionPiece): void {
    const begun = this.#begun
    const goesOn = begun ? begun.number === position.number && begun.next === firstOrdinal : firstOrdinal === 0
    if (!goesOn) {
      const reason = `a piece of the transaction at ${formatPosition(position)} begins with change ${firstOrdinal}, which is not the next`
      throw new TidemarkError('TM_FEED_PROTOCOL', { reason })
    }
    this.#begun = { number: position.number, next: firstOrdinal + changes.length }
  }

  /** The transaction is complete, or left. */
  end(): void {
    this.#begun = undefined
  }
}
