import { TidemarkError } from '../../../errors.js'
import { type Change, type Relation, type TransactionPiece, tableName } from '../../feed.js'
import type { EntryId } from './entry-id.js'
import { PieceEncoder } from './piece-encoder.js'

export interface StreamEntry {
  readonly id: EntryId
  readonly body: Buffer
}

export interface CollectorLimits {
  readonly maxChanges: number
  readonly maxBytes: number
  readonly maxEntryBytes: number
}

/** The newest entry that is in the stream. */
export interface StreamTop {
  readonly id: EntryId
  /** Whether it completes its transaction. */
  readonly last: boolean
}

interface Chunk {
  readonly firstOrdinal: number
  readonly encoder: PieceEncoder
}

/** One transaction, as far as it has come. */
interface Collected {
  readonly number: bigint
  /** Of the first change that is not in the stream. */
  readonly firstOrdinal: number
  /** The next change's. */
  next: number
  /** Undefined once the transaction is too large to be told row by row. */
  chunks: Chunk[] | undefined
  bytes: number
  readonly tables: Map<string, Relation>
}

/**
 * Makes entries of pieces: whole transactions, each in as many entries as its size asks for, or as a single marker for each of its tables
 * where it is too large (S6). What is in the stream already is left out, down to the ordinal.
 */
export class TransactionCollector {
  readonly #limits: CollectorLimits
  readonly #top: StreamTop
  #open: Collected | undefined

  constructor(limits: CollectorLimits, top: StreamTop) {
    this.#limits = limits
    this.#top = top
  }

  /** Whether all of the piece is in the stream. */
  isPublished({ position, firstOrdinal, changes, last }: TransactionPiece): boolean {
    const { id, last: complete } = this.#top
    if (position.number !== id.number) return position.number < id.number
    return complete || (!last && BigInt(firstOrdinal + changes.length) <= id.ordinal + 1n)
  }

  /** The entries of the transaction where the piece completes it; none before. */
  add(piece: TransactionPiece): readonly StreamEntry[] {
    if (this.isPublished(piece)) return []
    const open = this.#continued(piece)
    const skip = Math.max(0, open.next - piece.firstOrdinal)
    for (const change of piece.changes.slice(skip)) this.#add(open, change)
    if (!piece.last) return []
    this.#open = undefined
    return open.chunks ? this.#rows(open, open.chunks, piece) : [this.#markers(open, piece)]
  }

  #continued({ position, firstOrdinal }: TransactionPiece): Collected {
    const { number } = position
    if (this.#open?.number !== number) {
      const begun = number === this.#top.id.number ? Number(this.#top.id.ordinal) + 1 : 0
      this.#open = { number, firstOrdinal: begun, next: begun, chunks: [], bytes: 0, tables: new Map() }
    }
    if (firstOrdinal > this.#open.next) {
      const reason = `transaction ${number} goes on at change ${firstOrdinal} instead of ${this.#open.next}`
      throw new TidemarkError('TM_INTERNAL', { reason })
    }
    return this.#open
  }

  #add(open: Collected, change: Change): void {
    const { maxChanges, maxBytes, maxEntryBytes } = this.#limits
    open.next += 1
    open.tables.set(tableName(change.relation), change.relation)
    if (!open.chunks) return
    let chunk = open.chunks.at(-1)
    if (!chunk || chunk.encoder.bytes >= maxEntryBytes) {
      chunk = { firstOrdinal: open.next - 1, encoder: new PieceEncoder() }
      open.chunks.push(chunk)
    }
    const before = chunk.encoder.bytes
    chunk.encoder.add(change)
    open.bytes += chunk.encoder.bytes - before
    if (open.bytes > maxBytes || open.next > maxChanges) open.chunks = undefined
  }

  #rows(open: Collected, chunks: readonly Chunk[], { xid, committedAt }: TransactionPiece): readonly StreamEntry[] {
    if (chunks.length === 0) {
      // Nothing to tell of an empty transaction; but one that the stream holds most of has to be closed.
      if (open.firstOrdinal === 0) return []
      chunks = [{ firstOrdinal: open.next, encoder: new PieceEncoder() }]
    }
    return chunks.map(({ firstOrdinal, encoder }, index) => ({
      id: { number: open.number, ordinal: BigInt(firstOrdinal + Math.max(encoder.count, 1) - 1) },
      body: encoder.finish({ xid, committedAt, firstOrdinal, last: index === chunks.length - 1 }),
    }))
  }

  #markers(open: Collected, { xid, committedAt }: TransactionPiece): StreamEntry {
    const encoder = new PieceEncoder()
    for (const relation of open.tables.values()) encoder.add({ kind: 'changed', relation, old: null, new: null })
    return {
      id: { number: open.number, ordinal: BigInt(open.next - 1) },
      body: encoder.finish({ xid, committedAt, firstOrdinal: open.firstOrdinal, last: true }),
    }
  }
}
