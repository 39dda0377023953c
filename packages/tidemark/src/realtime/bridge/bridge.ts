/**
 * The words of the bridge: an application that keeps its tables elsewhere (Neon, Supabase, any Postgres) hears of their changes. Events come from
 * the log or the outbox of the database that holds the tables; through Supabase's Realtime only where the tables are in that project (C28).
 */
import type { Position } from '../../feed/position.js'
import type { HealthCheck } from '../../observability/observability.js'
import type { ChangeEvent } from '../realtime.js'

/** What a listener is told of one change. */
export interface BridgeEvent<Row = { readonly [column: string]: unknown }> {
  /** Of its position and its place in the transaction. */
  readonly id: string
  readonly event: ChangeEvent
  readonly schema: string
  readonly table: string
  /** Of the row that changed: of a DELETE, of the old one (C29). Null where the key is not known. */
  readonly key: string | null
  /** Of a DELETE null. */
  readonly record: Row | null
  /** What is known of the row before. */
  readonly old: Partial<Row> | null
  readonly position: Position
  /** Its place in the transaction, from 0. */
  readonly ordinal: number
  readonly committedAt: Date
}

export type EventHandler<Row = { readonly [column: string]: unknown }> = (event: BridgeEvent<Row>) => void | Promise<void>

/** `lost`: changes may be missing. `tableChanged`: more changed at once than is told row by row. Fetch again either way. */
export interface BridgeGap {
  readonly reason: 'lost' | 'tableChanged'
  /** `schema.table`, where it is one. */
  readonly table?: string | undefined
}

export interface SubscribeOptions<Row> {
  /** `leads`, or with its schema. */
  readonly table: string
  /** Default `*`. */
  readonly event?: ChangeEvent | '*'
  /** The column that names a row. Default `id`. */
  readonly key?: string
  /** Whether the event is for this subscription. */
  readonly when?: (event: BridgeEvent<Row>) => boolean
  /** Called first once the bridge stands, and whenever something may be missing. */
  readonly onGap?: (gap: BridgeGap) => void | Promise<void>
}

export interface BridgeSubscription {
  readonly name: string
  /** `schema.table`. */
  readonly table: string
  readonly event: ChangeEvent | '*'
  unsubscribe(): void
}

export type BridgeConnection = 'idle' | 'connecting' | 'connected' | 'waiting' | 'stopped'

export interface BridgeState {
  readonly connection: BridgeConnection
  /** Attempts since it was connected last. */
  readonly attempts: number
  readonly subscriptions: number
  readonly lastError: string | null
  /** Wall time in milliseconds since 1970. */
  readonly lastEventAt: number | null
  /** Milliseconds since it was proven that nothing is missing; null where the source proves nothing, or has not yet. */
  readonly freshnessMs: number | null
}

/** R54: the RealtimeBridge. */
export interface RealtimeBridge {
  readonly subscriptions: ReadonlyMap<string, BridgeSubscription>
  /** By `schema.table`. */
  readonly eventHandlers: ReadonlyMap<string, ReadonlySet<EventHandler>>
  /** The heartbeat: whether the feed of changes is alive and on time. */
  readonly healthCheck: HealthCheck
  /** Connects, and stays connected. Once. */
  start(): void
  stop(): Promise<void>
  state(): BridgeState
  /** R56: `subscribe('lead-updates', { table: 'leads' }, callback)`. A name that is taken is subscribed anew. */
  subscribe<Row = { readonly [column: string]: unknown }>(
    name: string,
    options: SubscribeOptions<Row>,
    callback: EventHandler<Row>,
  ): BridgeSubscription
  /** R57: called for every change of a table, before its subscriptions. Gives what ends it. */
  addEventHandler(table: string, handler: EventHandler): () => void
}
