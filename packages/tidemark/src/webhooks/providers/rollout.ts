import type { EntityRef, EventType } from '../webhooks.js'
import { isoAt, textAt, valueAt } from './fields.js'
import { hmacKey } from './keys.js'
import { hmacProof } from './proofs.js'
import { defineProvider, type Fields, type Provider } from './provider.js'

/** Rollout tells which resources changed, not how: their state is fetched from `uri`. Nothing says when it signed. */
const types: Readonly<Record<string, EventType>> = {
  peopleCreated: 'contact.created',
  peopleUpdated: 'contact.updated',
  peopleTagsCreated: 'contact.updated',
  peopleStageUpdated: 'contact.updated',
  peopleDeleted: 'contact.deleted',
  appointmentsCreated: 'appointment.created',
  appointmentsUpdated: 'appointment.updated',
  appointmentsDeleted: 'appointment.cancelled',
  notesCreated: 'note.created',
}

const kinds: Readonly<Record<string, string>> = {
  people: 'contact',
  appointments: 'appointment',
  notes: 'note',
  deals: 'opportunity',
}

/** One resource is an entity; of several, all events of that kind are handled in order. */
const entityOf = (data: Fields, sourceType: string): EntityRef | undefined => {
  const plural = /^[a-z]+/.exec(sourceType)?.[0]
  const ids = valueAt(data, 'resourceIds')
  if (plural === undefined || !Array.isArray(ids) || ids.length === 0) return undefined
  const type = Object.hasOwn(kinds, plural) ? kinds[plural]! : plural
  return { type, externalId: ids.length === 1 ? String(ids[0]) : '*' }
}

export interface RolloutOptions {
  /** Whether the base64 of the body was signed, as the newer documentation has it, or the body. Default `base64`. */
  readonly input?: 'base64' | 'raw'
}

/** Rollout: HMAC-SHA256 in `x-rollout-signature`, over the base64 of the body or, by its older documentation, over the body. */
export const rollout = ({ input = 'base64' }: RolloutOptions = {}): Provider =>
  defineProvider({
    name: 'rollout',
    proof: hmacProof({ header: 'x-rollout-signature', encoding: 'hex', input }),
    readKey: hmacKey,
    types,
    describe: (data) => {
      const sourceType = textAt(data, 'event') ?? ''
      return {
        id: textAt(data, 'eventId'),
        sourceType,
        entity: entityOf(data, sourceType),
        occurredAt: isoAt(data, 'eventCreated'),
      }
    },
  })
