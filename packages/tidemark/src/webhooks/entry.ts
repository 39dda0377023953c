import type { AcceptedEvent, EntityRef, Trust } from './webhooks.js'

/**
 * An entry of a partition's stream. Documented fields: `provider`, `event_type`, `payload`, `received_at`. Ours: `id`, `lane`,
 * `tenant`, and either `seq`, where the row is in `webhook_events` already, or the whole event, where it is not.
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

/** The names of the fields, as they are in Redis. */
export const entryFields = [
  'provider',
  'event_type',
  'payload',
  'received_at',
  'id',
  'lane',
  'tenant',
  'seq',
  'dedupe',
  'source_type',
  'entity_type',
  'entity_id',
  'verified',
  'trust',
  'unparseable',
  'normaliser',
  'headers',
  'raw',
  'raw_at',
] as const

export type EntryField = (typeof entryFields)[number]

/** A flat list of names and values, as XADD takes it. */
export type EntryArguments = readonly (string | Buffer)[]

const noEnvelope = 'null'

const common = (event: AcceptedEvent, payload: string | Buffer): (string | Buffer)[] => [
  'provider',
  event.provider,
  'event_type',
  event.type,
  'payload',
  payload,
  'received_at',
  new Date(event.receivedAtMs).toISOString(),
  'id',
  event.id,
  'lane',
  event.lane,
  'tenant',
  event.tenant,
]

/** The entry of an event whose row is in Postgres. */
export const encodeQueued = (event: AcceptedEvent, seq: bigint | string): EntryArguments => [
  ...common(event, event.envelope ?? noEnvelope),
  'seq',
  String(seq),
]

const rawFields = (raw: Buffer, payload: Buffer): readonly (string | Buffer)[] => {
  // An envelope mostly holds the body as it came, near its end: it need not be sent and kept twice.
  const at = raw.length === 0 ? -1 : payload.lastIndexOf(raw)
  return at < 0 ? ['raw', raw] : ['raw_at', `${at},${raw.length}`]
}

/** The entry of an event that is nowhere else yet. */
export const encodeWhole = (event: AcceptedEvent, normaliser: number): EntryArguments => {
  const payload = Buffer.from(event.envelope ?? noEnvelope)
  return [
    ...common(event, payload),
    'dedupe',
    event.dedupeKey,
    'source_type',
    event.sourceType,
    ...(event.entity ? ['entity_type', event.entity.type, 'entity_id', event.entity.externalId] : []),
    'verified',
    event.verified ? '1' : '0',
    'trust',
    event.trust,
    ...(event.unparseable === undefined ? [] : ['unparseable', event.unparseable]),
    'normaliser',
    String(normaliser),
    'headers',
    JSON.stringify(event.headers),
    ...rawFields(event.raw, payload),
  ]
}

const headersOf = (text: string): Readonly<Record<string, string>> => {
  const parsed: unknown = JSON.parse(text)
  return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, string>) : {}
}

const wholeOf = (field: (name: EntryField) => Buffer | undefined, payload: Buffer): WholeEvent | undefined => {
  const text = (name: EntryField): string => field(name)?.toString() ?? ''
  const dedupeKey = field('dedupe')?.toString()
  if (dedupeKey === undefined) return undefined
  const [at = 0, length = 0] = text('raw_at').split(',').map(Number)
  const entityType = field('entity_type')?.toString()
  return {
    dedupeKey,
    sourceType: text('source_type'),
    entity: entityType === undefined ? undefined : { type: entityType, externalId: text('entity_id') },
    verified: text('verified') === '1',
    trust: text('trust') === 'hint' ? 'hint' : 'statement',
    unparseable: field('unparseable')?.toString(),
    normaliser: Number(text('normaliser')),
    headers: headersOf(text('headers') || '{}'),
    raw: field('raw') ?? payload.subarray(at, at + length),
  }
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
