/** What webhooks of the CRMs bring about. Each runs in the transaction in which its event is marked as processed. */
import type { WebhookEvent, WebhookHandler } from 'tidemark'
import type { CallKind } from './calls/calls.js'
import type { CrmContact, CrmRef } from './calls/crm.js'
import { cancelVisits, subjectOf } from './calls/handlers.js'
import { addFeedback } from './repository/feedback.js'
import { dropLead, keepLead } from './repository/leads.js'
import { visitsOfRef } from './repository/visit-refs.js'
import type { Db } from './rows.js'

type Data = Readonly<Record<string, unknown>>

/** Postgres holds no NUL, and no half of a surrogate pair. */
const unstorable = /\0|\p{Surrogate}/gu

/** The first of the names under which there is text. */
const textOf = (data: Data, ...names: readonly string[]): string | undefined => {
  for (const name of names) {
    const value = data[name]
    const text = Array.isArray(value) ? value[0] : value
    const inner = typeof text === 'object' && text !== null ? (text as Data)['value'] : text
    if ((typeof inner === 'string' && inner.trim() !== '') || typeof inner === 'number')
      return String(inner).replace(unstorable, '\ufffd').trim()
  }
  return undefined
}

const short = (text: string | undefined): string | undefined => text?.slice(0, 500)

const contactOf = (data: Data): CrmContact => ({
  firstName: short(textOf(data, 'firstName', 'first_name')),
  lastName: short(textOf(data, 'lastName', 'last_name')),
  email: short(textOf(data, 'email', 'emails')),
  phone: short(textOf(data, 'phone', 'phones')),
  source: short(textOf(data, 'source')),
  assignedTo: short(textOf(data, 'assignedTo', 'assigned_to', 'assignedUserId')),
})

const asOf = ({ occurredAt, receivedAt }: WebhookEvent): Date => {
  const at = new Date(occurredAt ?? receivedAt)
  return Number.isNaN(at.getTime()) ? new Date(receivedAt) : at
}

const refTo = ({ provider, tenant }: WebhookEvent, externalId: string): CrmRef => ({ provider, tenant, externalId })

/** Some providers name several at once. */
const refsOf = (event: WebhookEvent): readonly CrmRef[] => {
  const { resourceIds } = event.data
  const ids = Array.isArray(resourceIds)
    ? resourceIds.filter((id) => typeof id === 'string' || typeof id === 'number').map(String)
    : []
  if (ids.length > 0) return [...new Set(ids)].slice(0, 100).map((id) => refTo(event, id))
  return event.entity ? [refTo(event, event.entity.externalId)] : []
}

/** The CRM is asked once this is committed. */
const ask = async (db: Db, kind: CallKind, ref: CrmRef): Promise<void> => {
  await db.query('select reanna.ask($1, $2, true)', [kind, subjectOf(ref)])
}

/** What the event itself says counts where its sender is known; else, and where it says nothing, the CRM is asked. */
const contactChanged: WebhookHandler = async (event, { db }) => {
  const contact = contactOf(event.data)
  const isTold = event.trust === 'statement' && Object.values(contact).some((value) => value !== undefined)
  for (const ref of refsOf(event)) {
    if (isTold) await keepLead(db, ref, contact, asOf(event))
    else await ask(db, 'crm.fetch_contact', ref)
  }
}

const contactDeleted: WebhookHandler = async (event, { db }) => {
  for (const ref of refsOf(event)) {
    if (event.trust === 'statement') await dropLead(db, ref, asOf(event))
    else await ask(db, 'crm.fetch_contact', ref)
  }
}

/** Most appointments of a CRM are no visits. */
const appointmentCancelled: WebhookHandler = async (event, { db }) => {
  for (const ref of refsOf(event)) {
    if (event.trust === 'statement') await cancelVisits(db, ref)
    else await ask(db, 'crm.fetch_appointment', ref)
  }
}

const longestNote = 10_000

/** The visit that was last when it was written; before the first the first. */
const visitOf = async (event: WebhookEvent, db: Db): Promise<string | undefined> => {
  const { entity, data } = event
  const ids = [
    ['appointment', textOf(data, 'appointmentId', 'appointment_id')],
    ['contact', textOf(data, 'contactId', 'contact_id') ?? (entity?.type === 'contact' ? entity.externalId : undefined)],
  ] as const
  for (const [type, id] of ids) {
    if (id === undefined) continue
    const visits = await visitsOfRef(db, refTo(event, id), type)
    const found = visits.findLast(({ scheduled_arrival: at }) => at <= asOf(event)) ?? visits[0]
    if (found) return found.visit_id
  }
  return undefined
}

/** A note about somebody who was at a visit is feedback. What nobody vouches for is not passed on to listing agents. */
const noteCreated: WebhookHandler = async (event, { db, log }) => {
  const text = textOf(event.data, 'body', 'text', 'note', 'content')
  if (event.trust !== 'statement' || text === undefined) return
  const visitId = await visitOf(event, db)
  if (visitId === undefined) return log.debug('a note is about no visit', { event: event.id })
  await addFeedback(db, { source: 'crm', text: text.slice(0, longestNote), visitId })
}

/** By the type of the event. */
export const webhookHandlers = {
  'contact.created': contactChanged,
  'contact.updated': contactChanged,
  'contact.deleted': contactDeleted,
  'appointment.cancelled': appointmentCancelled,
  'note.created': noteCreated,
} as const satisfies Readonly<Record<string, WebhookHandler>>
