import { parseJson } from './json-text.js'
import type { EntityRef, Trust, WebhookEvent } from './webhooks.js'

let lastMs = Number.NaN
let lastIso = ''

/** A moment as ISO 8601. Events of one turn of the event loop mostly have the same one, which takes longer to write than to remember. */
export const isoOf = (ms: number): string => {
  if (ms !== lastMs) {
    lastIso = new Date(ms).toISOString()
    lastMs = ms
  }
  return lastIso
}

/** The envelope of an event without what the provider sent. */
export type EnvelopeHead = Omit<WebhookEvent, 'data'>

/**
 * The envelope as JSON: `{"id", "provider", "tenant", "type", "source_type", "timestamp", "received_at", "entity": {"type",
 * "external_id"}, "verified", "trust", "data"}`, and `"edited": true` where it is. `data` is JSON text that stands in it as it came.
 */
export const envelopeJson = (head: EnvelopeHead, data: string): string => `${headJson(head).slice(0, -1)},"data":${data}}`

const headJson = (head: EnvelopeHead): string => {
  const { entity, occurredAt } = head
  return JSON.stringify({
    id: head.id,
    provider: head.provider,
    tenant: head.tenant,
    type: head.type,
    source_type: head.sourceType,
    timestamp: occurredAt ?? null,
    received_at: head.receivedAt,
    entity: entity ? { type: entity.type, external_id: entity.externalId } : null,
    verified: head.verified,
    trust: head.trust,
    ...(head.edited && { edited: true }),
  })
}

const closing = 0x7d

/** The same as bytes, around data that stand in it as they are. */
export const envelopeBytes = (head: EnvelopeHead, data: Buffer): Buffer => {
  const opening = `${headJson(head).slice(0, -1)},"data":`
  const openingLength = Buffer.byteLength(opening)
  const bytes = Buffer.allocUnsafe(openingLength + data.length + 1)
  bytes.write(opening)
  data.copy(bytes, openingLength)
  bytes[bytes.length - 1] = closing
  return bytes
}

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is sent as no object stands under `value`. */
export const dataTextOf = (value: unknown, text: string): string => (isObject(value) ? text : `{"value":${text}}`)

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const entityOf = (value: unknown): EntityRef | undefined =>
  isObject(value) ? { type: textOf(value['type']), externalId: textOf(value['external_id']) } : undefined

/** The event that an envelope tells of; undefined where the text is none, as for a body that could not be read. */
export const readEnvelope = (text: string): WebhookEvent | undefined => {
  const value = parseJson(text)
  if (!isObject(value) || typeof value['id'] !== 'string') return undefined
  const occurredAt = value['timestamp']
  return {
    id: value['id'],
    provider: textOf(value['provider']),
    tenant: textOf(value['tenant']),
    type: textOf(value['type']),
    sourceType: textOf(value['source_type']),
    occurredAt: typeof occurredAt === 'string' ? occurredAt : undefined,
    receivedAt: textOf(value['received_at']),
    entity: entityOf(value['entity']),
    data: isObject(value['data']) ? value['data'] : {},
    verified: value['verified'] === true,
    trust: (value['trust'] === 'hint' ? 'hint' : 'statement') satisfies Trust,
    ...(value['edited'] === true && { edited: true }),
  }
}
