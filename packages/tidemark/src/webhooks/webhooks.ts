import type { Logger } from '../observability/observability.js'
import type { Client } from '../postgres/postgres.js'

/**
 * The words of this folder. An event goes one way:
 *
 * socket → intake (limits, raw bytes) → provider (verify, identify, normalise) → stored (Postgres, or Redis by choice) and appended
 * to its partition's stream → 202 · worker: lease of the partition, lane of the entity → handlers and the mark `processed` in one
 * transaction → acknowledged, or put off, or a dead letter.
 */

/** Types that handlers register for. A provider's own name for it is {@link WebhookEvent.sourceType}. */
export const eventTypes = [
  'contact.created',
  'contact.updated',
  'contact.deleted',
  'appointment.created',
  'appointment.updated',
  'appointment.cancelled',
  'opportunity.status_changed',
  'note.created',
  'unknown',
] as const

export type EventType = (typeof eventTypes)[number]

/** `statement`: it tells what is. `hint`: it says where to look, since nobody vouches for its text. */
export type Trust = 'statement' | 'hint'

/** What an event is about, as the provider names it; its events are handled in order. */
export interface EntityRef {
  readonly type: string
  readonly externalId: string
}

/** One event as every provider's is told: the envelope. Its JSON has the documented names (see `envelopeJson`). */
export interface WebhookEvent {
  /** Ours; the same over retries and replays. */
  readonly id: string
  readonly provider: string
  /** Whose account at the provider it comes from; empty where it has only one. */
  readonly tenant: string
  readonly type: EventType | (string & {})
  /** The provider's name for the type. */
  readonly sourceType: string
  /** When it happened, as far as the provider says; ISO 8601. */
  readonly occurredAt: string | undefined
  readonly receivedAt: string
  /** Undefined where it is about nothing that can be named: it then has a lane of its own. */
  readonly entity: EntityRef | undefined
  /** What the provider sent, as JSON values. An integer beyond 2^53 is text, digit for digit. */
  readonly data: Readonly<Record<string, unknown>>
  /** Never where it is edited: no signature covers what an operator wrote. */
  readonly verified: boolean
  readonly trust: Trust
  /** True where an operator sent it through again with another body: `data` is that one's. */
  readonly edited?: boolean
}

/** What handlers get beside the event. */
export interface HandlerContext {
  /** The transaction in which the event is also marked as processed: what is written here counts exactly once. */
  readonly db: Client
  /** 1 for the first. */
  readonly attempt: number
  /** Set where an operator sent the event through again. */
  readonly replayId: string | undefined
  /** The body as it was received; of an edited event, the edited one. */
  raw(): Promise<Buffer>
  /** Aborts at the handler's time-out and when the worker loses its lease. */
  readonly signal: AbortSignal
  readonly log: Logger
}

/**
 * Does what an event calls for. Calls out of Postgres belong into an outbox. A throw puts the event off; after the last attempt, or at once
 * where it raises TM_WEBHOOKS_REFUSED, the event becomes a dead letter.
 */
export type EventHandler = (event: WebhookEvent, context: HandlerContext) => Promise<void>

/** Where events are kept when they are answered. */
export type Durability = 'postgres' | 'redis'

/** `accepted` waits for its turn, `failed` for its next attempt; `dead` waits for an operator. */
export type EventStatus = 'accepted' | 'processing' | 'processed' | 'failed' | 'dead'

/** Why an event became a dead letter. */
export type DeadReason = 'attempts' | 'refused' | 'unparseable' | 'crash_loop' | 'no_handler'

/** An event that was verified and understood as far as it can be, on its way into storage. */
export interface AcceptedEvent {
  readonly id: string
  readonly provider: string
  readonly tenant: string
  /** The provider's id of the event, else a digest; unique within provider and tenant. */
  readonly dedupeKey: string
  readonly type: string
  readonly sourceType: string
  readonly entity: EntityRef | undefined
  /** What is handled in order: `provider|tenant|type|id`, or the event's own id. */
  readonly lane: string
  readonly partition: number
  /** The envelope as JSON in UTF-8, its numbers as they came; undefined where the body could not be read, with the reason. */
  readonly envelope: Buffer | undefined
  readonly unparseable: string | undefined
  readonly raw: Buffer
  /** True where the body stands at the end of the envelope, byte for byte, with only `}` behind it: it need not be sent twice. */
  readonly rawAtEnd?: boolean
  /** Headers that are kept. Never signatures, secrets or cookies. */
  readonly headers: Readonly<Record<string, string>>
  readonly verified: boolean
  readonly trust: Trust
  /** Wall time in milliseconds since 1970. */
  readonly receivedAtMs: number
}

/** An event as it was stored: what a replay makes anew. */
export interface StoredEvent {
  readonly id: string
  readonly provider: string
  readonly tenant: string
  readonly raw: Buffer
  readonly headers: Readonly<Record<string, string>>
  readonly verified: boolean
  readonly trust: Trust
  readonly receivedAtMs: number
  /** Of the code that made the envelope. */
  readonly normaliser: number
  /** True where `raw` is what an operator wrote in place of what came. */
  readonly edited?: boolean
}

/** The envelope of a stored event as the code of today makes it. */
export type Renormalised =
  | {
      readonly type: string
      readonly sourceType: string
      readonly entity: EntityRef | undefined
      readonly lane: string
      readonly partition: number
      /** JSON text. */
      readonly envelope: string
      readonly normaliser: number
    }
  | { readonly unparseable: string }

/** Makes an event anew from its body. */
export type Renormalise = (event: StoredEvent) => Renormalised | Promise<Renormalised>

/** Of the code that made the envelope, kept with the event: a replay makes it anew. */
export const normaliserVersion = 1

/** The Redis keys of one partition. Companions hash with their stream. */
export interface PartitionKeys {
  readonly stream: string
  /** Another text whenever the stream was lost and what it held goes through it anew. */
  readonly life: string
  /** Ids waiting for their next attempt, by due time in milliseconds. */
  readonly retry: string
  /** Set of events whose run began and of which no outcome was told. */
  readonly begun: string
  /** `<prefix><provider>|<tenant>|<dedupe key>` */
  readonly dedupePrefix: string
  readonly lease: string
}

/** One partition has the documented name `webhooks:events`; of several, each has its number behind it. */
export const partitionKeys = (partition: number, partitions: number): PartitionKeys => {
  const stream = partitions === 1 ? 'webhooks:events' : `webhooks:events:${partition}`
  return {
    stream,
    life: `{${stream}}:life`,
    retry: `{${stream}}:retry`,
    begun: `{${stream}}:begun`,
    dedupePrefix: `{${stream}}:dedupe:`,
    lease: `{${stream}}:lease`,
  }
}

/** The stream of dead letters, for those who watch Redis; the truth is in `webhook_events`. */
export const errorsStream = 'webhooks:errors'

/** The consumer group of every partition. */
export const consumerGroup = 'tidemark'
