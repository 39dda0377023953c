/**
 * The words of the feed: every committed change of the followed tables, in commit order, whole transactions at a time, at least once
 * (FEED-1). A source gives them, followers take them; whoever applies by position applies once.
 */
import type { Position } from './position.js'

export interface RelationColumn {
  readonly name: string
  readonly typeOid: number
  /** Postgres' modifier of the type, -1 for none. */
  readonly typeModifier: number
  /** True for the columns of the replica identity. */
  readonly isKey: boolean
}

/** A table as it was when its changes were made; after DDL the next change carries a new object. */
export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly table: string
  readonly identity: 'default' | 'nothing' | 'full' | 'index'
  readonly columns: readonly RelationColumn[]
}

/**
 * In Postgres' text form. null is NULL. undefined is unknown: a large value that the update did not touch, or a column outside of the
 * replica identity in an old row.
 */
export type Value = string | null | undefined

/** One value for each column of the relation, in its order. */
export type Row = readonly Value[]

/** One row's change. `old` of an update is null where the identity did not change and is not FULL: the key is then that of `new`. */
export type RowChange =
  | { readonly kind: 'insert'; readonly relation: Relation; readonly old: null; readonly new: Row }
  | { readonly kind: 'update'; readonly relation: Relation; readonly old: Row | null; readonly new: Row }
  | { readonly kind: 'delete'; readonly relation: Relation; readonly old: Row; readonly new: null }

/** What stands for the table as a whole: it was emptied, or so much changed in one transaction that only the fact is told. */
export type TableChange =
  | { readonly kind: 'truncate'; readonly relation: Relation; readonly old: null; readonly new: null }
  | { readonly kind: 'changed'; readonly relation: Relation; readonly old: null; readonly new: null }

export type Change = RowChange | TableChange

/** A transaction, or a piece of one that is too large to hold: pieces come in order, nothing comes between them. */
export interface TransactionPiece {
  readonly type: 'transaction'
  readonly position: Position
  /** The 64-bit transaction id, for snapshots. */
  readonly xid: bigint
  readonly committedAt: Date
  /** Number of the first change of this piece within its transaction, from 0. */
  readonly firstOrdinal: number
  readonly changes: readonly Change[]
  /** Of each change its number within the transaction, where those of other tables were left out: see {@link ordinalOf}. */
  readonly ordinals?: readonly number[]
  /** True for the piece that completes the transaction. */
  readonly last: boolean
}

/** Everything that was committed before `asOf` (of the process's monotonic clock, in ms) has been given, and was visible then. */
export interface FreshnessProof {
  readonly type: 'fresh'
  readonly position: Position
  readonly asOf: number
}

export type ResetReason =
  /** The follower has never read, or its position is of another history. */
  | 'start'
  /** The slot was lost, or given up before it filled the disk. */
  | 'slotLost'
  /** The database was restored, promoted or replaced. */
  | 'newHistory'
  /** Entries of the stream are missing. */
  | 'gap'
  /** Redis lost its state. */
  | 'streamLost'
  /** The node that reads takes other things out of Redis than the one before: what Redis holds may be old. */
  | 'purgesChanged'

/** From here on positions are of `epoch`, and what came before may be incomplete: drop or resync everything derived from it. */
export interface FeedReset {
  readonly type: 'reset'
  readonly epoch: string
  readonly reason: ResetReason
  /** Where the feed goes on. */
  readonly position: Position
}

export type FeedEvent = TransactionPiece | FreshnessProof | FeedReset

export interface SourceLag {
  /** How far the source of truth is. */
  readonly head: Position | null
  /** How far everything is confirmed. */
  readonly confirmed: Position | null
  /** Bytes of WAL (rows of the outbox) that are kept for us. */
  readonly behind: number
  /** Bytes left before Postgres gives the slot up; null where no bound is set. */
  readonly headroomBytes: number | null
}

/** Where changes come from. One consumer; its pace is the source's pace, down to the socket. */
export interface Source {
  readonly kind: 'wal' | 'outbox' | 'supabase' | 'stream'
  /** `exact`: FEED-1 holds. `atMostOnce`: changes may be lost; reconcile. */
  readonly guarantee: 'exact' | 'atMostOnce'
  /**
   * Events from the last confirmed position on (or from `from`, where that is later and of the same epoch), until the signal. Reconnects
   * by itself with backoff; raises only what cannot pass by waiting: TM_FEED_SLOT_*, TM_FEED_PERMISSION, TM_POSTGRES_AUTHENTICATION ….
   */
  events(signal: AbortSignal, from?: Position): AsyncIterable<FeedEvent>
  /** Everything up to here is durable elsewhere and need not be given again. */
  confirm(position: Position): void
  lag(): Promise<SourceLag>
  /** Ends connections; takes away what was made for this process alone (a temporary slot). */
  stop(): Promise<void>
}

/** Tables as `schema.table`, or every table of the publication. */
export type TableFilter = readonly string[] | 'all'

/** What reacts to changes. Adding one is an object with a name, its tables and `apply`. */
export interface Follower {
  /** Unique within a node; names its position in the database where it is durable. */
  readonly name: string
  readonly tables: TableFilter
  /**
   * Takes one piece, filtered to its tables (a piece without any is not given, but for the last one of a transaction it has seen part of).
   * The next comes when this has resolved. A failure is retried with backoff, the same piece again.
   */
  apply(piece: TransactionPiece): Promise<void>
  /** What was derived from the feed before is void. */
  reset?(reset: FeedReset): Promise<void>
  fresh?(proof: FreshnessProof): void
  /** The position up to which this follower has stored its work; a follower with one holds the confirmation back. */
  stored?(): Promise<Position | null>
  /**
   * Called now and then while nothing waits: everything up to here is applied or held nothing for this follower. One that stores its position
   * stores this one as well, else a quiet table of its own keeps the source from forgetting what others have done with.
   */
  passed?(position: Position): Promise<void>
}

/** The value of a column by its name; undefined also where the relation has no such column. */
export const columnValue = (relation: Relation, row: Row | null, column: string): Value => {
  const index = relation.columns.findIndex(({ name }) => name === column)
  return index < 0 ? undefined : row?.[index]
}

/** `schema.table`. */
export const tableName = ({ schema, table }: Pick<Relation, 'schema' | 'table'>): string => `${schema}.${table}`

/** The number of a change within its transaction, from 0, however the transaction was cut and whatever was left out. */
export const ordinalOf = (
  { firstOrdinal, ordinals }: Pick<TransactionPiece, 'firstOrdinal' | 'ordinals'>,
  index: number,
): number => ordinals?.[index] ?? firstOrdinal + index

/** Whether it is of one row; else it is a TRUNCATE, or says only that a table was changed. */
export const isRowChange = (change: Change): change is RowChange => change.kind !== 'truncate' && change.kind !== 'changed'
