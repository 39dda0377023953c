/**
 * The words of realtime.
 *
 * feed ─► changes/ (who listens to what, by index) ─► visibility/ (who may see it, asked once for all) ─► a listener for each channel
 * clients ─► hub/ (sockets) ─► protocols/ (supabase · pusher) ─► topics/ (broadcast and presence, over all nodes)
 */
import type { Caller } from '../auth/caller.js'
import type { Position } from '../feed/position.js'

/** A value as it is told to a client. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

export type ChangeEvent = 'INSERT' | 'UPDATE' | 'DELETE'

/** What a listener asks for. Raised against when it is made: TM_REALTIME_FILTER, TM_REALTIME_BINDING. */
export interface Binding {
  readonly event: ChangeEvent | '*'
  /** `*` for every schema. */
  readonly schema: string
  /** Undefined or `*`: every table of the schema. */
  readonly table?: string | undefined
  /** `column=op.value`, joined by commas, all of which have to hold. */
  readonly filter?: string | undefined
  /** Columns that are told; the key always is. Undefined: all that the role may read. */
  readonly select?: readonly string[] | undefined
}

/**
 * A change as one listener may know it: without the columns that its role may not read or did not ask for. All who are told the same get the
 * same object, so that a frame can be kept with it.
 */
export interface VisibleChange {
  readonly position: Position
  /** Its place in its transaction, from 0. With the position it names the change for good. */
  readonly ordinal: number
  readonly event: ChangeEvent
  readonly schema: string
  readonly table: string
  readonly committedAt: Date
  /** `type` as Postgres calls it in `pg_type`: `int4`, `_text`. */
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** Of an INSERT and an UPDATE. */
  readonly record?: { readonly [column: string]: Json } | undefined
  /** Of an UPDATE and a DELETE: the columns that the replica identity told; under row security those of the key alone. */
  readonly oldRecord?: { readonly [column: string]: Json } | undefined
  /** Why something is missing in it: `Error 413: Payload Too Large`. */
  readonly errors: readonly string[] | null
  /** `columns`, `record` and `oldRecord` as JSON, made once for all who are told the same; numbers with all their digits. */
  readonly columnsJson: string
  readonly recordJson?: string | undefined
  readonly oldRecordJson?: string | undefined
}

/**
 * Why a listener has to read again what it shows. `lost`: what lies between its position and now is kept no more. `tableChanged`: more
 * changed at once than is told row by row, or the table was emptied. `undecided`: whether it may see a change could not be found out.
 */
export type GapReason = 'lost' | 'tableChanged' | 'undecided'

export interface Gap {
  readonly reason: GapReason
  /** `schema.table`, where the gap is in one. */
  readonly table?: string | undefined
  /** From here on nothing is missing. */
  readonly position: Position
  readonly message: string
}

/** One channel of one client. Its functions are called in the order of the positions and must not wait. */
export interface ChangeListener {
  /**
   * `bindings`: the indexes of the bindings that match, in their order. Called once for a change, however many match; where they select
   * different columns, once for each selection.
   */
  change(change: VisibleChange, bindings: readonly number[]): void
  gap(gap: Gap): void
  /** Everything up to here was told, or was nothing for this listener. Called after the changes of one turn, and now and then while it is quiet. */
  passed(position: Position): void
  /**
   * Whether its client has read what it was told so far: while it has not, what comes waits, and is told at its pace as long as it is kept. Missing:
   * it has.
   */
  hasRoom?(): boolean
  /** Whether its client has gone before it is told anything: then it takes no place of one that comes back. Missing: it has not. */
  isGone?(): boolean
  /** Its client has had no room for too long: whoever serves it cuts it off. Called once; it is told nothing more. */
  slow?(): void
  /** It is told nothing any more: its policies raise or take too long. Nobody else is harmed. */
  failed(reason: string): void
}

export interface ListenOptions {
  readonly caller: Caller
  readonly bindings: readonly Binding[]
  readonly listener: ChangeListener
  /** Where the client was: it is told everything after, or a gap. Undefined: from now on. */
  readonly from?: Position | undefined
  /** With `from`: of the transaction at that position, the changes behind this ordinal are told as well. Undefined: none of them. */
  readonly ordinal?: number | undefined
  /**
   * Names this channel of this client over reconnects: what it acknowledged is remembered under it when it is cut off, for some minutes. Clients
   * that cannot be told from each other (two tabs of one user, visitors behind one address) share a name.
   */
  readonly cursor?: string | undefined
  /**
   * With `cursor` and without `from`. True: the client was here before. It goes on after the earliest position that is remembered under the name, so
   * that it may be told something again and misses nothing; where none is remembered, or one was remembered and is forgotten by now, it is told a
   * gap. Undefined: perhaps it was. It goes on in the same way, but is told no gap where nothing was ever remembered. False: it was not. It starts
   * from now, whatever is remembered.
   */
  readonly returning?: boolean | undefined
  /**
   * With `cursor`: the number that the client has given to this join, where it counts its messages for as long as it lives. What is remembered of
   * a client that had come to that number is another's. Undefined: all that is remembered may be its own.
   */
  readonly number?: number | undefined
}

/** What a channel holds of the changes. */
export interface ChangeSubscription {
  /** Everything that commits after `listen` resolved comes after this position; nothing up to it is told. */
  readonly start: Position
  /** What was known when it began lies up to here: a listener that is told so much has caught up. Missing: the start. */
  readonly head?: Position | undefined
  /** A gap is told first: a client that has not heard of it yet must not take itself for one that has everything up to the start. */
  readonly beginsWithGap?: boolean | undefined
  /** Judges what comes from now on for this caller. Refused as `listen` is. `bindings`: as they were given to that, which nobody keeps twice. */
  setCaller(caller: Caller, bindings: readonly Binding[]): Promise<void>
  /** Everything told up to here has reached the client. Positions come in their order, and not each of them. */
  acknowledged(position: Position): void
  /**
   * Ends at once: nothing is told after it returned. `mayReturn`: it was cut off, so what it acknowledged is remembered under its cursor. `number`:
   * the highest that its client had given to a message.
   */
  close(mayReturn?: boolean, number?: number): void
}

/** The changes of the tables that realtime tells of. */
export interface Changes {
  /**
   * Resolves once the position from which on everything is told is fixed (RT-1, RT-2). Raises TM_REALTIME_BINDING and TM_REALTIME_FILTER for
   * what no table or column answers to, TM_REALTIME_UNAVAILABLE where the feed does not run.
   */
  listen(options: ListenOptions): Promise<ChangeSubscription>
  stop(): Promise<void>
}

/** A message to everybody who listens to a topic, on all nodes. */
export interface TopicMessage {
  readonly topic: string
  /** What the protocol made of it: text or bytes, as it came. */
  readonly body: Buffer
  /** Whoever sent it and does not hear it: the id of a listener. */
  readonly except?: string | undefined
}

export interface TopicListener {
  /** Unique over all nodes. */
  readonly id: string
  message(message: TopicMessage): void
  /** Only of a topic with presence. */
  presence?(diff: PresenceDiff): void
  /** Other nodes could not be heard for a while: messages may be missing. Presence is told by itself. */
  gap?(): void
}

/** One appearance of a key: one channel of one client. */
export interface PresenceMeta {
  /** Unique over all nodes. */
  readonly ref: string
  readonly payload: Json
}

/** By key. A key with several appearances is present until the last one leaves. */
export type PresenceState = ReadonlyMap<string, readonly PresenceMeta[]>

export interface PresenceDiff {
  readonly joins: PresenceState
  readonly leaves: PresenceState
}

export interface TopicSubscription {
  /** Who is present, on all nodes. */
  presence(): PresenceState
  /** Appears under a key, or changes what is told of it. One subscription appears once. Gives the new ref. */
  track(key: string, payload: Json): Promise<string>
  untrack(): Promise<void>
  close(): void
}

/**
 * Broadcast and presence over all nodes: through Redis, and without one within this process. A topic is a protocol's name and the client's
 * name of it: `supabase:room`, `pusher:presence-room`. Messages of one sender to one topic come in their order.
 */
export interface Topics {
  subscribe(topic: string, listener: TopicListener): TopicSubscription
  /** Resolves when it is on its way to all nodes; what reaches nobody is no error. Raises TM_REALTIME_BROADCAST where Redis refuses it. */
  publish(message: TopicMessage): Promise<void>
  /** How many listen to a topic, on all nodes. */
  count(topic: string): Promise<number>
  /** Topics with at least one listener, on all nodes, by the beginning of their name. */
  occupied(prefix: string): Promise<ReadonlyMap<string, number>>
  /** Calls it when more or fewer listen to a topic on other nodes than this node knew: what `count` gave before may have been too old. Gives what ends it. */
  onCountElsewhere(listener: (topic: string) => void): () => void
  /** Called when the first listener of a topic came, over all nodes, or the last one left; once over all nodes. Gives what ends it. */
  onOccupancy(listener: (topic: string, occupied: boolean) => void): () => void
  stop(): Promise<void>
}
