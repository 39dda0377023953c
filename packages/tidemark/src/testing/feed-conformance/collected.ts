import type { Change, FeedEvent, FeedReset, FreshnessProof, Relation, Row, Source, TransactionPiece } from '../../feed/feed.js'
import type { Position } from '../../feed/position.js'
import { until } from '../../time/until.js'

/** A transaction put together from its pieces. */
export interface Collected {
  readonly position: Position
  readonly xid: bigint
  readonly committedAt: Date
  readonly changes: readonly Change[]
  readonly pieces: readonly TransactionPiece[]
}

export interface Reading {
  readonly events: readonly FeedEvent[]
  readonly transactions: readonly Collected[]
  readonly resets: readonly FeedReset[]
  readonly proofs: readonly FreshnessProof[]
  /** Waits until a whole transaction is there that fits. */
  transaction(fits: (transaction: Collected) => boolean): Promise<Collected>
  until(ask: () => boolean, what: string): Promise<unknown>
  /** Ends the reading, not the source. Raises what the source raised. */
  end(): Promise<void>
}

export interface ReadOptions {
  readonly from?: Position
  /** Called with each event before the next one is asked for. */
  readonly each?: (event: FeedEvent) => void | Promise<void>
}

const check = (condition: boolean, text: string): void => {
  if (!condition) throw new Error(text)
}

/** What holds of every feed, whatever is written: the pieces of a transaction follow one another, and positions never go back. */
class Order {
  #open: TransactionPiece | undefined
  #next = 0
  #position: Position | undefined
  #proven: Position | undefined

  take(event: FeedEvent): void {
    if (event.type === 'reset') {
      this.#open = undefined
      this.#position = event.position
      this.#proven = event.position
      return
    }
    const { position } = event
    if (this.#position) {
      check(position.epoch === this.#position.epoch, 'the epoch changes without a reset')
      check(position.number >= this.#position.number, 'a position goes back')
    }
    this.#position = position
    if (event.type === 'fresh') {
      check(this.#open === undefined, 'a proof stands between the pieces of a transaction')
      this.#proven = position
      return
    }
    // Whoever has stored the position of a proof or of a reset takes what comes at or below it for applied.
    if (this.#proven) check(position.number > this.#proven.number, 'a transaction comes after a proof at or past its position')
    check(event.firstOrdinal === (this.#open ? this.#next : 0), 'ordinals have a gap')
    if (this.#open) check(event.xid === this.#open.xid, 'a transaction stands between the pieces of another')
    this.#next = event.firstOrdinal + event.changes.length
    this.#open = event.last ? undefined : event
  }
}

/** Reads a source in the background. */
export const read = (source: Source, { from, each }: ReadOptions = {}): Reading => {
  const abort = new AbortController()
  const events: FeedEvent[] = []
  const transactions: Collected[] = []
  const resets: FeedReset[] = []
  const proofs: FreshnessProof[] = []
  const order = new Order()
  let pieces: TransactionPiece[] = []
  let failure: { readonly error: unknown } | undefined
  const collect = (piece: TransactionPiece): void => {
    pieces.push(piece)
    if (!piece.last) return
    const { position, xid, committedAt } = piece
    transactions.push({ position, xid, committedAt, pieces, changes: pieces.flatMap(({ changes }) => changes) })
    pieces = []
  }
  const run = async () => {
    for await (const event of source.events(abort.signal, from)) {
      order.take(event)
      events.push(event)
      if (event.type === 'transaction') collect(event)
      else if (event.type === 'reset') resets.push(event)
      else proofs.push(event)
      await each?.(event)
    }
  }
  const done = run().catch((error: unknown) => {
    failure = { error }
  })
  const raise = () => {
    if (failure) throw failure.error
  }
  const wait: Reading['until'] = (ask, what) => {
    const asked = () => {
      raise()
      return ask()
    }
    return until(asked, { timeoutMs: 20_000, intervalMs: 3, what })
  }
  return {
    events,
    transactions,
    resets,
    proofs,
    until: wait,
    transaction: async (fits) => {
      await wait(() => transactions.some(fits), 'A transaction of the feed')
      return transactions.find(fits)!
    },
    end: async () => {
      abort.abort()
      await done
      raise()
    },
  }
}

/** A row by the names of its columns. */
export const named = ({ columns }: Relation, row: Row | null): Record<string, unknown> | null =>
  row && Object.fromEntries(columns.map(({ name }, index) => [name, row[index]]))

/** A change as it reads best in an expectation. */
export const plain = ({ kind, relation, old, new: after }: Change) => ({
  kind,
  table: `${relation.schema}.${relation.table}`,
  old: named(relation, old),
  new: named(relation, after),
})
