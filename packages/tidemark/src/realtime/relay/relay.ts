/**
 * The words of the relay: changes that matter to others are forwarded to Pusher or to Supabase Broadcast, in order, once each by name.
 *
 * feed ─► rules (which change, to which channel, with which words) ─► queue (in memory, or in Postgres) ─► lanes (one order per channel)
 *      ─► breaker ─► target
 */
import type { Follower } from '../../feed/feed.js'
import type { Position } from '../../feed/position.js'
import type { HealthCheck } from '../../observability/observability.js'
import type { BreakerState } from '../../resilience/resilience.js'
import type { ChangeEvent, Json } from '../realtime.js'

/** Columns by name. One is missing where its value is not known: a large value that an update did not touch. */
export type RelayRecord = { readonly [column: string]: unknown }

/** A change as rules and handlers see it: with the server's own eyes, so what they pass on is theirs to choose. */
export interface RelayChange {
  /** Of its position and its place in the transaction: the same for whoever sees this change, and again after a restart. */
  readonly id: string
  readonly position: Position
  /** From 0. */
  readonly ordinal: number
  readonly event: ChangeEvent
  readonly schema: string
  readonly table: string
  readonly committedAt: Date
  /** Of an INSERT and an UPDATE. */
  readonly record: RelayRecord | null
  /** Of an UPDATE whose identity changed or is FULL, and of a DELETE. */
  readonly old: RelayRecord | null
}

/** What is told on a channel. */
export interface RelayMessage {
  readonly channel: string
  readonly event: string
  readonly data: { readonly [name: string]: Json }
  /** Whatever is published twice under one id, on one channel and under one name, is shown once. */
  readonly id: string
  /** When it happened, where that is known. */
  readonly committedAt?: Date | undefined
}

/** Which changes are told, where, and what of them. Changes that no rule asks for are not forwarded (R60). */
export interface RelayRule {
  /** `schema.table`. */
  readonly table: string
  /** Default: all three. */
  readonly events?: readonly ChangeEvent[]
  readonly when?: (change: RelayChange) => boolean
  readonly channel: string | ((change: RelayChange) => string)
  readonly event: string | ((change: RelayChange) => string)
  /** Columns of the record (of the old one for a DELETE), or what is told instead. There is no default: a channel may be public. */
  readonly data: readonly string[] | ((change: RelayChange) => RelayMessage['data'])
  /** Default: the change's own. Another where the same is published in another way as well, which knows no position. */
  readonly id?: (change: RelayChange) => string
}

/** Where messages go. */
export interface RelayTarget {
  /** Names it in logs and status; no secrets. */
  readonly name: string
  readonly maxBatch: number
  /** Of the data of one message as JSON. */
  readonly maxDataBytes: number
  /** Why a message can never be sent there; undefined where it can. */
  refuses(message: RelayMessage): string | undefined
  /** Sends all, in their order, or raises: TM_REALTIME_RELAY_REFUSED for what is not worth repeating, else something retryable. */
  send(messages: readonly RelayMessage[], signal: AbortSignal): Promise<void>
}

/** What waits, in the order in which it came. */
export interface RelayQueue {
  readonly isDurable: boolean
  /** Takes what it has not taken before. `position`: where they come from; with it a durable queue takes a transaction once, whoever brings it. */
  add(messages: readonly RelayMessage[], position?: Position): Promise<{ readonly added: number; readonly dropped: number }>
  /** The oldest. Empty where another process sends what waits in a durable queue. */
  peek(most: number): Promise<readonly RelayMessage[]>
  /** They are sent, or will never be. */
  done(messages: readonly RelayMessage[]): Promise<void>
  /** Channels on which something was dropped for want of room since this was last asked. */
  takeGaps(): readonly string[]
  size(): Promise<number>
  /** How far a durable queue has taken. */
  stored(): Promise<Position | null>
  /** Lets others send. */
  release(): Promise<void>
}

/**
 * `off`: the target failed or dawdled too often, and is left alone until it is back; what waits is kept within the queue's bound.
 */
export type RelayState = 'stopped' | 'running' | 'off'

/** R59: `get_status`. */
export interface RelayStatus {
  readonly name: string
  readonly target: string
  readonly state: RelayState
  readonly durable: boolean
  readonly breaker: BreakerState
  readonly queued: number
  readonly sent: number
  /** Told already under the same id. */
  readonly repeated: number
  /** Gave way for want of room; their channels were told. */
  readonly dropped: number
  /** The target never takes these; their channels were told. */
  readonly refused: number
  /** Sends that failed, and were repeated. */
  readonly failures: number
  readonly lastError: string | null
  readonly lastSentAt: string | null
  /** From the commit to the target's answer, of what was sent last. */
  readonly lagMs: number | null
  readonly handlers: number
}

export type RelayHandler = (change: RelayChange) => void | Promise<void>

/** R59: the RealtimeIntegrationService. */
export interface Relay {
  readonly name: string
  /** Give it to the feed. */
  readonly follower: Follower
  readonly healthCheck: HealthCheck
  /** Begins to send. Once. */
  start(): void
  /** Waits for what is on its way. What waits in a durable queue goes on with the next start, here or elsewhere. */
  stop(): Promise<void>
  getStatus(): Promise<RelayStatus>
  /**
   * Calls the handler for every change of a followed table, also for those that no rule asks for. What it raises is logged and goes no further.
   * Gives what ends it. Raises TM_REALTIME_RELAY_TABLE.
   */
  addEventHandler(table: string, handler: RelayHandler): () => void
  /** Tells something that comes from elsewhere, or sooner. Give it the id that the rule gives for the same thing. */
  publish(messages: readonly RelayMessage[]): Promise<void>
  /** Something was put into the queue past the relay: it looks at once. */
  wake(): void
}

/** The event that tells a channel that it missed something and has to fetch again. */
export const relayGapEvent = 'tidemark:gap'

/** Whatever is shown once has this. */
export const relayKey = ({ channel, event, id }: Pick<RelayMessage, 'channel' | 'event' | 'id'>): string =>
  `${channel}\n${event}\n${id}`
