import { isoOf } from './envelope.js'
import type { AcceptedEvent, EntityRef, Trust } from './webhooks.js'

/**
 * An entry of a partition's stream. Documented fields: `provider`, `event_type`, `payload`, `received_at`. Ours: `id`, `lane`,
 * `tenant`, and either `seq`, where the row is in `webhook_events` already, or the whole event, where it is not: `event`, JSON, and the
 * body, as `raw` or as the place of it in the payload (`raw_at`).
 *
 * The same event may stand in a stream twice (its append was repeated after an unknown outcome): its row decides what is still to do.
 */
export interface StreamEntry {
  /** Of the event. Where the row came from elsewhere first, the row's id counts: look it up by provider, tenant and dedupe key. */
  readonly id: string
  readonly provider: string
  readonly tenant: string
  readonly type: string
  readonly lane: string
  readonly receivedAtMs: number
  /** The envelope's JSON text; `null` where the body could not be read. */
  readonly payload: string
  /** The row's place in its order; undefined where there may be no row yet: then {@link StreamEntry.whole} is there. */
  readonly seq: bigint | undefined
  /** What the row is made from, where the worker has to insert it. */
  readonly whole: WholeEvent | undefined
}

/** What of an event is not in the other fields of its entry. */
export interface WholeEvent {
  readonly dedupeKey: string
  readonly sourceType: string
  readonly entity: EntityRef | undefined
  readonly verified: boolean
  readonly trust: Trust
  /** Why it is a dead letter from the start. */
  readonly unparseable: string | undefined
  readonly normaliser: number
  readonly headers: Readonly<Record<string, string>>
  readonly raw: Buffer
}

/** The names of the fields that every entry has, as they are in Redis and in their order. */
export const commonFields = ['provider', 'event_type', 'payload', 'received_at', 'id', 'lane', 'tenant'] as const

/** The names of all fields. */
const entryFields = [...commonFields, 'seq', 'event', 'raw', 'raw_at'] as const

export type EntryField = (typeof entryFields)[number]

export type EntryValue = string | Buffer

/** What an entry is made of: the values of {@link commonFields} in their order, and what only some have, names and values in turn. */
export interface EntryParts {
  readonly common: readonly EntryValue[]
  readonly extra: readonly EntryValue[]
}

/** What of an event is in every entry. */
type Common = Pick<AcceptedEvent, 'id' | 'provider' | 'tenant' | 'type' | 'lane' | 'receivedAtMs'> & {
  readonly envelope: EntryValue | undefined
}

const noEnvelope = 'null'

const commonOf = ({ provider, type, envelope = noEnvelope, receivedAtMs, id, lane, tenant }: Common): readonly EntryValue[] => [
  provider,
  type,
  envelope,
  isoOf(receivedAtMs),
  id,
  lane,
  tenant,
]

/** The entry of an event whose row is in Postgres. */
export const queuedParts = (event: Common, seq: bigint | string): EntryParts => ({
  common: commonOf(event),
  extra: ['seq', String(seq)],
})

/** Where the body stands in the envelope, in bytes; undefined where it does not stand there as it came. */
const rawPlace = ({ envelope, raw, rawAtEnd }: AcceptedEvent): number | undefined =>
  // Behind it is the brace that closes the envelope.
  envelope !== undefined && rawAtEnd === true ? envelope.length - 1 - raw.length : undefined

type WholeText = Omit<WholeEvent, 'raw'>

/** The entry of an event that is nowhere else yet. */
export const wholeParts = (event: AcceptedEvent, normaliser: number): EntryParts => {
  const { dedupeKey, sourceType, entity, verified, trust, unparseable, headers, raw } = event
  const whole: WholeText = { dedupeKey, sourceType, entity, verified, trust, unparseable, normaliser, headers }
  const place = rawPlace(event)
  const text = JSON.stringify(whole)
  // A body that is part of the payload need not be sent and kept twice.
  const extra = place === undefined ? ['event', text, 'raw', raw] : ['event', text, 'raw_at', `${place},${raw.length}`]
  return { common: commonOf(event), extra }
}

/** A flat list of names and values, as XADD takes it. */
export const entryArguments = ({ common, extra }: EntryParts): readonly EntryValue[] => [
  ...commonFields.flatMap((name, at) => [name, common[at]!]),
  ...extra,
]

const wholeOf = (field: (name: EntryField) => Buffer | undefined, payload: Buffer): WholeEvent | undefined => {
  const text = field('event')?.toString()
  if (text === undefined) return undefined
  const { dedupeKey, sourceType, entity, verified, trust, unparseable, normaliser, headers } = JSON.parse(text) as WholeText
  const [at = 0, length = 0] = (field('raw_at')?.toString() ?? '').split(',').map(Number)
  const raw = field('raw') ?? payload.subarray(at, at + length)
  return { dedupeKey, sourceType, entity, verified, trust, unparseable, normaliser, headers, raw }
}

/**
 * Reads an entry from its flat list of names and values, asked for with `buffers: true`.
 * Undefined where it is none of ours: somebody else wrote into the stream.
 */
export const decodeEntry = (fields: readonly Buffer[]): StreamEntry | undefined => {
  const values = new Map<string, Buffer>()
  for (let at = 0; at + 1 < fields.length; at += 2) values.set(fields[at]!.toString(), fields[at + 1]!)
  const field = (name: EntryField): Buffer | undefined => values.get(name)
  const text = (name: EntryField): string => field(name)?.toString() ?? ''
  const payload = field('payload')
  const receivedAtMs = Date.parse(text('received_at'))
  const seq = field('seq')?.toString()
  if (!payload || text('id') === '' || text('lane') === '' || Number.isNaN(receivedAtMs)) return undefined
  const whole = wholeOf(field, payload)
  if ((seq === undefined) === (whole === undefined)) return undefined
  return {
    id: text('id'),
    provider: text('provider'),
    tenant: text('tenant'),
    type: text('event_type'),
    lane: text('lane'),
    receivedAtMs,
    payload: payload.toString(),
    seq: seq === undefined ? undefined : BigInt(seq),
    whole,
  }
}
