import { parseJson } from './json-text.js'
import type { EntityRef, Trust, WebhookEvent } from './webhooks.js'

/** The envelope of an event without what the provider sent. */
export type EnvelopeHead = Omit<WebhookEvent, 'data'>

/**
 * The envelope as JSON: `{"id", "provider", "tenant", "type", "source_type", "timestamp", "received_at", "entity": {"type",
 * "external_id"}, "verified", "trust", "data"}`. `data` is JSON text that stands in it as it came.
 */
export const envelopeJson = (head: EnvelopeHead, data: string): string => {
  const { entity, occurredAt } = head
  const known = JSON.stringify({
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
  })
  return `${known.slice(0, -1)},"data":${data}}`
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
  }
}
