import type { EventType } from '../webhooks.js'
import { isoAt, textAt } from './fields.js'
import { pathKey } from './keys.js'
import { pathProof } from './proofs.js'
import { defineProvider, type Provider } from './provider.js'

/**
 * Lofty signs nothing: a secret in the path is all there is, and what it sends is a hint about a lead that has to be fetched
 * from its API before anything is done. Ids are 64-bit numbers, and there is none of the event.
 */
const types: Readonly<Record<string, EventType>> = {
  create: 'contact.created',
  update: 'contact.updated',
  delete: 'contact.deleted',
}

/** Lofty, which signs nothing: a secret in the path, and every event a hint. */
export const lofty = (): Provider =>
  defineProvider({
    name: 'lofty',
    proof: pathProof,
    readKey: pathKey,
    signed: false,
    // Up to 5,000 events in one call.
    batches: true,
    maxBytes: 4 * 1024 ** 2,
    describe: (data) => {
      const lead = textAt(data, 'leadId')
      const event = textAt(data, 'event') ?? ''
      // Whatever list a lead is on, something of the lead changed.
      const type = Object.hasOwn(types, event) ? types[event] : 'contact.updated'
      return {
        tenant: textAt(data, 'teamId'),
        sourceType: event === '' ? (textAt(data, 'listId') ?? '') : event,
        type: lead === undefined ? 'unknown' : type,
        entity: lead === undefined ? undefined : { type: 'contact', externalId: lead },
        occurredAt: isoAt(data, 'updateTime'),
      }
    },
  })
