/** What each kind of call sends, and what comes of it here. */
import { sql } from 'kysely'
import { raiseAlert, resolveAlert } from 'tidemark/app'
import { notificationFailed, syncFailed } from '../alerting.js'
import type { TaskStatus } from '../day/states.js'
import { dropLead, keepLead } from '../repository/leads.js'
import { findTour } from '../repository/tours.js'
import { visitsOfRef } from '../repository/visit-refs.js'
import { changeVisitStatus, visitsOf } from '../repository/visits.js'
import type { Db, Tour, Visit } from '../rows.js'
import { firstOf, now, rightNow, rowsOf, tables } from '../tables.js'
import type { CallHandler, CallHandlers } from './calls.js'
import type { Crm, CrmContact, CrmRef } from './crm.js'
import type { Notification, Notifier } from './notifier.js'

const asHandler = <P>(handler: CallHandler<P>): CallHandler => handler as CallHandler

/** `provider|tenant|id`, each as in an address. */
export const subjectOf = ({ provider, tenant, externalId }: CrmRef): string =>
  [provider, tenant, externalId].map(encodeURIComponent).join('|')

export const refOf = (subject: string): CrmRef => {
  const [provider = '', tenant = '', externalId = ''] = subject.split('|').map(decodeURIComponent)
  return { provider, tenant, externalId }
}

/** In a statement of its own, so that the next one sees what whoever held it has asked for. */
const lock = (db: Db, tourId: string) => rowsOf(db, tables.selectFrom('tours').select('id').where('id', '=', tourId).forUpdate())

/** The tour that is pending. What changed during the call has been asked for again, and keeps it so. */
const unchanged = (tourId: string) =>
  tables
    .updateTable('tours')
    .where('id', '=', tourId)
    .where('crm_sync_status', '=', 'pending')
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('reanna.calls as c')
            .select('c.id')
            .where('c.kind', '=', 'crm.sync_tour')
            .where('c.subject', '=', tourId)
            .where('c.status', '=', 'calling')
            .where('c.again', '=', true),
        ),
      ),
    )

/** CRM sync: pending until it is told, `failed` with the last error where it could not be. */
const syncTour = (crm: Crm) =>
  asHandler<{ readonly tour: Tour; readonly visits: readonly Visit[] }>({
    prepare: async (db, id) => {
      const tour = await findTour(db, id)
      return tour?.crm_sync_status === 'pending' ? { tour, visits: await visitsOf(db, id) } : undefined
    },
    make: ({ tour, visits }, key, signal) => crm.syncTour(tour, visits, key, signal),
    succeeded: async (db, id) => {
      await lock(db, id)
      await rowsOf(db, unchanged(id).set({ crm_sync_status: 'synced', crm_sync_timestamp: now, crm_sync_error: null }))
      await resolveAlert(db, syncFailed(id))
    },
    failed: async (db, id, error, isLast) => {
      await lock(db, id)
      if (isLast) await raiseAlert(db, syncFailed(id), error)
      if (isLast) await rowsOf(db, unchanged(id).set({ crm_sync_status: 'failed', crm_sync_error: error }))
      else await rowsOf(db, tables.updateTable('tours').set({ crm_sync_error: error }).where('id', '=', id))
    },
  })

interface PreparedNotification {
  readonly notification: Notification
  readonly by: string | null
}

/** The task that stands for it, where it is in that state. */
const moveTask = async (db: Db, feedbackId: string, from: TaskStatus, to: TaskStatus): Promise<void> => {
  const itsTask = tables.selectFrom('feedback').select('notification_task_id').where('id', '=', feedbackId)
  const move = tables.updateTable('tasks').set({ status: to, ...(to === 'completed' && { completed_time: now }) })
  await rowsOf(db, move.where('id', '=', itsTask).where('status', '=', from))
}

const feedbackWith = (id: string) => tables.updateTable('feedback').where('id', '=', id)

const notify = (notifier: Notifier) =>
  asHandler<PreparedNotification>({
    prepare: async (db, id) => {
      const attempt = tables
        .updateTable('feedback as f')
        .from('tasks as k')
        .innerJoin('property_visits as v', 'v.id', 'k.visit_id')
        .set({ notification_attempts: sql<number>`f.notification_attempts + 1`, last_notification_attempt: rightNow })
        .where('f.id', '=', id)
        .whereRef('k.id', '=', 'f.task_id')
        .where('f.processed_feedback', 'is not', null)
        .where('f.sent_to_agent', '=', false)
        // Who cancelled the task wants nobody told, until somebody asks again.
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('tasks as c')
                .select('c.id')
                .whereRef('c.id', '=', 'f.notification_task_id')
                .where('c.status', '=', 'cancelled')
                .whereRef('c.updated_at', '>=', 'f.notification_requested_at'),
            ),
          ),
        )
        .returning(['f.processed_feedback as text', 'v.address', 'v.sellside_agent_id as agent_id'])
        .returning(['v.sellside_agent_name as agent_name', 'v.contact_method as by'])
      const row = await firstOf(db, attempt)
      if (!row) return undefined
      await moveTask(db, id, 'failed', 'scheduled')
      await moveTask(db, id, 'scheduled', 'in_progress')
      const { by, text, ...told } = row
      return { notification: { feedback_id: id, text: text!, ...told }, by }
    },
    make: ({ notification, by }, key, signal) => notifier.send(notification, by, key, signal),
    succeeded: async (db, id) => {
      await rowsOf(db, feedbackWith(id).set({ sent_to_agent: true, notification_error: null }))
      await resolveAlert(db, notificationFailed(id))
      await moveTask(db, id, 'in_progress', 'completed')
    },
    failed: async (db, id, error, isLast) => {
      await rowsOf(db, feedbackWith(id).set({ notification_error: error }))
      if (!isLast) return
      await moveTask(db, id, 'in_progress', 'failed')
      await raiseAlert(db, notificationFailed(id), error)
    },
    putOff: async (db, id) => {
      await rowsOf(db, feedbackWith(id).set({ notification_attempts: sql<number>`greatest(0, notification_attempts - 1)` }))
    },
  })

/** A webhook told that there is a contact; what it is like is the CRM's to say. */
const fetchContact = (crm: Crm) =>
  asHandler<CrmRef>({
    prepare: async (_db, subject) => refOf(subject),
    make: (ref, _key, signal) => crm.fetchContact(ref, signal),
    succeeded: async (db, subject, answer) => {
      if (answer === null) await dropLead(db, refOf(subject), new Date())
      else await keepLead(db, refOf(subject), answer as CrmContact, new Date())
    },
    failed: async () => undefined,
  })

/** How CRMs say that an appointment will not be. */
const isCancelled = (status: string): boolean => /^(cancel|no_?show|deleted|invalid)/i.test(status)

/** A webhook told that an appointment is off, and nobody vouches for it: it counts once the CRM says so. */
const fetchAppointment = (crm: Crm) =>
  asHandler<CrmRef>({
    prepare: async (db, subject) => {
      const ref = refOf(subject)
      return (await visitsOfRef(db, ref, 'appointment')).length > 0 ? ref : undefined
    },
    make: (ref, _key, signal) => crm.fetchAppointment(ref, signal),
    succeeded: async (db, subject, answer) => {
      const found = answer as { readonly status: string } | null
      if (found !== null && !isCancelled(found.status)) return
      await cancelVisits(db, refOf(subject))
    },
    failed: async () => undefined,
  })

/** Those that have not ended. */
export const cancelVisits = async (db: Db, ref: CrmRef): Promise<void> => {
  const open = (await visitsOfRef(db, ref, 'appointment')).filter(({ status }) => status === 'scheduled' || status === 'arrived')
  for (const { visit_id: id } of open) await changeVisitStatus(db, id, 'cancelled', { syncs: false })
}

/** Kinds for which nobody is configured are not made; they wait. */
export const callHandlers = ({
  crm,
  notifier,
}: {
  readonly crm?: Crm | undefined
  readonly notifier?: Notifier | undefined
}): CallHandlers => ({
  ...(crm && {
    'crm.sync_tour': syncTour(crm),
    'crm.fetch_contact': fetchContact(crm),
    'crm.fetch_appointment': fetchAppointment(crm),
  }),
  ...(notifier && { 'feedback.notify': notify(notifier) }),
})
