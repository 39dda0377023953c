import { envelopeJson } from '../envelope.js'
import { readJson } from '../json-text.js'
import type { Provider } from '../providers/provider.js'
import { normaliserVersion, type Renormalised, type StoredEvent } from '../webhooks.js'
import { headOfStored } from './delivery.js'
import { placeOf, understand } from './understand.js'

export interface RenormaliseOptions {
  readonly providers: readonly Provider[]
  readonly partitions?: number
  readonly maxDepth?: number
}

/** Makes events anew from the bodies that were stored, for replays. Its account stays what it was: it was proven then. */
export const createRenormalise = ({ providers, partitions = 1, maxDepth = 100 }: RenormaliseOptions) => {
  const byName = new Map(providers.map((provider) => [provider.name, provider]))
  return (stored: StoredEvent): Renormalised => {
    const provider = byName.get(stored.provider) ?? byName.get('generic')
    if (!provider) return { unparseable: `there is no provider ${stored.provider} any more` }
    const read = readJson(stored.raw, { maxDepth })
    if (!read.ok) return { unparseable: read.reason }
    // A list was taken apart when it came; one that is a whole body is one event.
    const understood = understand({ ...provider, batches: false }, headOfStored(stored.headers), read, stored.raw)
    if (typeof understood === 'string') return { unparseable: understood }
    const { facts, type, sourceType, data } = understood[0]!
    const { id, provider: name, tenant, trust, edited = false } = stored
    const verified = stored.verified && !edited
    const place = placeOf({ facts }, { provider: name, tenant, partitions }, id)
    const receivedAt = new Date(stored.receivedAtMs).toISOString()
    const head = { id, provider: name, tenant, type, sourceType, verified, trust, receivedAt, entity: place.entity, edited }
    return {
      type,
      sourceType,
      ...place,
      envelope: envelopeJson({ ...head, occurredAt: facts.occurredAt }, data),
      normaliser: normaliserVersion,
    }
  }
}
