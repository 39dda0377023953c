import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { reasonOf } from '../../errors.js'
import { dataTextOf, envelopeBytes, isoOf } from '../envelope.js'
import { elementTexts, parseJson, type ReadJson } from '../json-text.js'
import type { DeliveryHead, EventFacts, Fields, Provider } from '../providers/provider.js'
import type { AcceptedEvent, EntityRef } from '../webhooks.js'

/** An event of a delivery, as its provider's facts tell it. */
export interface Understood {
  readonly facts: EventFacts
  readonly type: string
  readonly sourceType: string
  /** JSON text of an object. */
  readonly data: string
  readonly raw: Buffer
  /** The data are the body, byte for byte. */
  readonly verbatim: boolean
}

/** Names and ids of more bytes would not fit into an index, where several stand side by side. */
const longestName = 255
/** More events than any provider sends at once. */
const maxEvents = 10_000
const longestReason = 300

const digest = (...parts: readonly (string | Buffer)[]): string => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

const surrogate = /[\ud800-\udfff]/
const loneSurrogate = /\p{Surrogate}/u

/** A character takes three bytes at most, a pair of surrogates four. */
const isShort = (text: string): boolean => text.length * 3 <= longestName || Buffer.byteLength(text) <= longestName

const isOrdinary = (text: string): boolean =>
  isShort(text) && !text.includes('\0') && !(surrogate.test(text) && loneSurrogate.test(text))

/** What Postgres cannot hold, or index, is told by its digest. */
const named = (text: string): string => (isOrdinary(text) ? text : `sha256:${digest(text)}`)

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

const typeOf = ({ types }: Provider, { type, sourceType }: EventFacts): string => {
  if (type !== undefined) return type
  return sourceType !== undefined && Object.hasOwn(types, sourceType) ? types[sourceType]! : 'unknown'
}

interface Value {
  readonly value: unknown
  readonly text: string
  readonly raw: Buffer
  readonly verbatim: boolean
}

const understandOne = (provider: Provider, head: DeliveryHead, { value, text, raw, verbatim }: Value): Understood => {
  const facts = provider.describe(isFields(value) ? value : {}, head)
  return {
    facts,
    type: named(typeOf(provider, facts)),
    sourceType: named(facts.sourceType ?? ''),
    data: dataTextOf(value, text),
    raw,
    verbatim: verbatim && isFields(value),
  }
}

/** The events of a body that could be read. Gives why not, where the provider's facts do not fit it. */
export const understand = (
  provider: Provider,
  head: DeliveryHead,
  { value, text, verbatim }: ReadJson & { readonly ok: true },
  raw: Buffer,
): readonly Understood[] | string => {
  try {
    if (!provider.batches || !Array.isArray(value)) return [understandOne(provider, head, { value, text, raw, verbatim })]
    if (value.length > maxEvents) return `it is a list of more than ${maxEvents} events`
    return elementTexts(text).map((element) => {
      const one = { value: parseJson(element), text: element, raw: Buffer.from(element), verbatim: true }
      return understandOne(provider, head, one)
    })
  } catch (error) {
    // An error of a rule may quote what was sent.
    const reason = reasonOf(error)
      .slice(0, longestReason)
      .replace(/[\0\p{Surrogate}]/gu, '\ufffd')
    return `the facts of ${provider.name} do not fit it: ${reason}`
  }
}

/** What is known of a delivery besides its events. */
export interface Arrival {
  readonly provider: string
  /** Of the key; what an event says of its own goes before. */
  readonly tenant: string
  readonly verified: boolean
  readonly trust: AcceptedEvent['trust']
  /** Of the signature, where it says so. */
  readonly signedAtMs: number | undefined
  readonly receivedAtMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly partitions: number
}

const entityOf = ({ entity }: EventFacts): EntityRef | undefined =>
  entity && { type: named(entity.type), externalId: named(entity.externalId) }

const laneOf = ({ provider, tenant }: Pick<Arrival, 'provider' | 'tenant'>, entity: EntityRef | undefined, id: string): string =>
  entity ? `${provider}|${tenant}|${entity.type}|${entity.externalId}` : id

/** The partition in which the events of a lane are handled. */
export const partitionOf = (lane: string, partitions: number): number => (partitions === 1 ? 0 : crc32(lane) % partitions)

/** Where an event has its place: in a lane, and that in a partition. */
export const placeOf = (
  { facts }: Pick<Understood, 'facts'>,
  { provider, tenant, partitions }: Pick<Arrival, 'provider' | 'tenant' | 'partitions'>,
  id: string,
): Pick<AcceptedEvent, 'entity' | 'lane' | 'partition'> => {
  const entity = entityOf(facts)
  const lane = laneOf({ provider, tenant }, entity, id)
  return { entity, lane, partition: partitionOf(lane, partitions) }
}

const dedupeKeyOf = (
  provider: string,
  tenant: string,
  signedAtMs: number | undefined,
  id: string | undefined,
  raw: Buffer,
): string =>
  id === undefined || id === '' ? digest(provider, '\0', tenant, '\0', String(signedAtMs ?? ''), '\0', raw) : named(id)

/** The event on its way into storage. Its members are written one by one: spread, they took longer than everything else here. */
export const acceptedEvent = (understood: Understood, arrival: Arrival, id: string): AcceptedEvent => {
  const { facts, type, sourceType, data, raw } = understood
  const { occurredAt } = facts
  const { provider, verified, trust, receivedAtMs, headers, partitions } = arrival
  const tenant = named(facts.tenant ?? arrival.tenant)
  const { entity, lane, partition } = placeOf(understood, { provider, tenant, partitions }, id)
  const receivedAt = isoOf(receivedAtMs)
  const head = { id, provider, tenant, type, sourceType, occurredAt, receivedAt, entity, verified, trust }
  return {
    id,
    provider,
    tenant,
    type,
    sourceType,
    verified,
    trust,
    entity,
    lane,
    partition,
    dedupeKey: dedupeKeyOf(provider, tenant, arrival.signedAtMs, facts.id, raw),
    envelope: envelopeBytes(head, understood.verbatim ? raw : Buffer.from(data)),
    unparseable: undefined,
    raw,
    rawAtEnd: understood.verbatim,
    headers,
    receivedAtMs,
  }
}

/** A body that was signed and cannot be read: it is kept, and a dead letter from the start. */
export const unparseableEvent = (raw: Buffer, reason: string, arrival: Arrival, id: string): AcceptedEvent => ({
  id,
  provider: arrival.provider,
  tenant: named(arrival.tenant),
  // Sent again it has another time of signing.
  dedupeKey: dedupeKeyOf(arrival.provider, arrival.tenant, undefined, undefined, raw),
  type: 'unknown',
  sourceType: '',
  entity: undefined,
  lane: id,
  partition: partitionOf(id, arrival.partitions),
  envelope: undefined,
  unparseable: reason,
  raw,
  headers: arrival.headers,
  verified: arrival.verified,
  trust: arrival.trust,
  receivedAtMs: arrival.receivedAtMs,
})
