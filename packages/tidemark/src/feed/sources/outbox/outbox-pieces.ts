import type { TransactionPiece } from '../../feed.js'
import type { OutboxChanges } from './outbox-changes.js'
import type { OutboxReader, OutboxTransaction } from './outbox-reader.js'
import type { OutboxRow } from './outbox-shape.js'

export interface OutboxPieces {
  readonly maxPieceChanges: number
  readonly maxPieceBytes: number
}

export interface NumberedTransaction extends OutboxTransaction {
  readonly number: bigint
}

/** Consecutive transactions that are read together: many small ones, or one. */
const groups = function* (transactions: readonly NumberedTransaction[], { maxPieceChanges, maxPieceBytes }: OutboxPieces) {
  let group: NumberedTransaction[] = []
  let [rows, bytes] = [0, 0]
  for (const transaction of transactions) {
    if (group.length > 0 && (rows + transaction.rows > maxPieceChanges || bytes + transaction.bytes > maxPieceBytes)) {
      yield group
      group = []
      rows = 0
      bytes = 0
    }
    group.push(transaction)
    rows += transaction.rows
    bytes += transaction.bytes
  }
  if (group.length > 0) yield group
}

const byTransaction = (rows: readonly OutboxRow[]): ReadonlyMap<string, readonly OutboxRow[]> => {
  const found = new Map<string, OutboxRow[]>()
  for (const row of rows) {
    const own = found.get(row.xid)
    if (own) own.push(row)
    else found.set(row.xid, [row])
  }
  return found
}

/** The pieces of the transactions, in their order. A transaction without a change of a followed table gives none. */
export const piecesOf = async function* (
  transactions: readonly NumberedTransaction[],
  reader: OutboxReader,
  changes: OutboxChanges,
  epoch: string,
  sizes: OutboxPieces,
): AsyncGenerator<TransactionPiece> {
  const piece = (
    of: NumberedTransaction,
    firstOrdinal: number,
    read: TransactionPiece['changes'],
    last: boolean,
  ): TransactionPiece => ({
    type: 'transaction',
    position: { epoch, number: of.number },
    xid: BigInt(of.xid),
    committedAt: of.changedAt,
    firstOrdinal,
    changes: read,
    last,
  })

  const large = async function* (transaction: NumberedTransaction): AsyncGenerator<TransactionPiece> {
    let after: OutboxRow | undefined
    let ordinal = 0
    for (let left = transaction.rows; left > 0; ) {
      const rows = await reader.page(transaction.xid, after, sizes.maxPieceChanges, sizes.maxPieceBytes)
      after = rows.at(-1)
      left -= rows.length
      if (after === undefined) break
      const read = await changes.read(rows)
      // What was begun has to be ended, also by a piece that holds nothing.
      if (read.length > 0 || (left <= 0 && ordinal > 0)) yield piece(transaction, ordinal, read, left <= 0)
      ordinal += read.length
    }
  }

  for (const group of groups(transactions, sizes)) {
    const [first] = group
    if (group.length === 1 && first && (first.rows > sizes.maxPieceChanges || first.bytes > sizes.maxPieceBytes)) {
      yield* large(first)
      continue
    }
    const rows = byTransaction(await reader.rows(group.map(({ xid }) => xid)))
    for (const transaction of group) {
      const read = await changes.read(rows.get(transaction.xid) ?? [])
      if (read.length > 0) yield piece(transaction, 0, read, true)
    }
  }
}
