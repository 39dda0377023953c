import type { EntityRef, EventType } from '../webhooks.js'
import { isoAt, momentAt, textAt } from './fields.js'
import { type KeyInput, publicKey } from './keys.js'
import { firstProof, publicKeyProof } from './proofs.js'
import { defineProvider, type Fields, type Provider } from './provider.js'

/**
 * GoHighLevel signs with one key for all apps there are, so the signature says "GoHighLevel", not "our app": name the accounts
 * (`tenants`) whose events are wanted. It sends again on 429 only, up to six times within 70 minutes, perhaps with the first
 * time stamp; so the window is wide, and an id counts once.
 */
const minuteMs = 60_000

const publishedEd25519: KeyInput = { id: 'ed25519', key: 'MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=' }

/** Of the header x-wh-signature, whose end was announced for September 2026. */
const publishedRsa: KeyInput = {
  id: 'rsa',
  key: [
    'MIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEAokvo/r9tVgcfZ5DysOSCFrm602qYV0MaAiNnX9O8KxMbiyRKWeL9JpCpVpt4XHIcBOK4u3cLSqJGOLaPuXw6',
    'dO0t6Q/ZVdAV5Phz+ZtzPL16iCGeK9po6D6JHBpbi989mmzMryUnQJezlYJ3DVfBcsedpinheNnyYeFXolrJvcsjDtfAeRx5ByHQmTnSdFUzuAnC9/GepgLT9SM4nCpv',
    'uxmZMxrJt5Rw+VUaQ9B8JSvbMPpez4peKaJPZHBbU3OdeCVx5klVXXZQGNHOs8gF3kvoV5rTnXV0IknLBXlcKKAQLZcY/Q9rG6Ifi9c+5vqlvHPCUJFT5XUGG5RKgOKU',
    'J062fRtN+rLYZUV+BjafxQauvC8wSWeYja63VSUruvmNj8xkx2zE/Juc+yjLjTXpIocmaiFeAO6fUtNjDeFVkhf5LNb59vECyrHD2SQIrhgXpO4Q3dVNA5rw576PwTzN',
    'h/AMfHKIjE4xQA1SZuYJmNnmVZLIZBlQAF9Ntd03rfadZ+yDiOXCCs9FkHibELhCHULgCsnuDJHcrGNd5/Ddm5hxGQ0ASitgHeMZ0kcIOwKDOzOU53lDza6/Y09T7sYJ',
    'PQe7z0cvj7aE4B+Ax1ZoZGPzpJlZtGXCsu9aTEGEnKzmsFqwcSsnw3JB31IGKAykT1hhTiaCeIY/OwwwNUY2yvcCAwEAAQ==',
  ].join(''),
}

const types: Readonly<Record<string, EventType>> = {
  ContactCreate: 'contact.created',
  ContactUpdate: 'contact.updated',
  ContactDndUpdate: 'contact.updated',
  ContactTagUpdate: 'contact.updated',
  ContactDelete: 'contact.deleted',
  AppointmentCreate: 'appointment.created',
  AppointmentUpdate: 'appointment.updated',
  AppointmentDelete: 'appointment.cancelled',
  OpportunityStatusUpdate: 'opportunity.status_changed',
  NoteCreate: 'note.created',
}

/** `Contact` of `ContactTagUpdate`. */
const subject =
  /^(Contact|Appointment|Opportunity|Note|Task|Invoice|Order|Product|Price|User|Location|Record|Relation|Association|Campaign|Conversation)/

const entityOf = (data: Fields, sourceType: string): EntityRef | undefined => {
  const type = subject.exec(sourceType)?.[1]?.toLowerCase()
  const id = type === 'appointment' ? textAt(data, 'appointment.id') : textAt(data, 'id')
  if (type !== undefined && id !== undefined) return { type, externalId: id }
  const conversation = textAt(data, 'conversationId')
  if (conversation !== undefined) return { type: 'conversation', externalId: conversation }
  const contact = textAt(data, 'contactId')
  return contact === undefined ? undefined : { type: 'contact', externalId: contact }
}

const isCancelled = (data: Fields): boolean => /^cancell?ed$/i.test(textAt(data, 'appointment.appointmentStatus') ?? '')

export interface GoHighLevelOptions {
  /** Whether the old header with RSA counts where the new one is absent. Default false. */
  readonly rsa?: boolean
}

/** GoHighLevel: Ed25519 over the body in `x-ghl-signature`, by the key that it publishes. */
export const gohighlevel = ({ rsa = false }: GoHighLevelOptions = {}): Provider => {
  const ed25519Proof = publicKeyProof('ed25519', 'x-ghl-signature')
  return defineProvider({
    name: 'gohighlevel',
    proof: rsa ? firstProof(ed25519Proof, publicKeyProof('rsa', 'x-wh-signature')) : ed25519Proof,
    readKey: publicKey,
    keys: rsa ? [publishedEd25519, publishedRsa] : [publishedEd25519],
    types,
    window: { pastMs: 90 * minuteMs, futureMs: 5 * minuteMs },
    onOutage: 429,
    describe: (data) => {
      const sourceType = textAt(data, 'type') ?? ''
      return {
        id: textAt(data, 'webhookId'),
        tenant: textAt(data, 'locationId') ?? textAt(data, 'companyId'),
        sourceType,
        ...(sourceType === 'AppointmentUpdate' && isCancelled(data) && { type: 'appointment.cancelled' }),
        entity: entityOf(data, sourceType),
        occurredAt: isoAt(data, 'timestamp'),
        signedAtMs: momentAt(data, 'timestamp'),
      }
    },
  })
}
