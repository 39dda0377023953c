/** What happened on a tour, in order. */
import { type Db, type JournalEntry, type Row, shown, type Tour } from '../rows.js'

/** What tours that came out of the old file tell of themselves: they have no journal of their own. */
const derived = (condition: string): string => `
  select v.actual_arrival as at, 0 as id, 'visit' as subject, 'arrived' as entry, v.id as visit_id, null::uuid as task_id,
         null::uuid as feedback_id, jsonb_build_object('address', v.address) as details, null::text as actor
    from public.property_visits v where v.tour_id = $1 and v.actual_arrival is not null and ${condition}
  union all
  select v.actual_departure, 0, 'visit', 'completed', v.id, null, null, jsonb_build_object('address', v.address), null
    from public.property_visits v where v.tour_id = $1 and v.actual_departure is not null and ${condition}
  union all
  select f.timestamp, 0, 'feedback', 'received', v.id, k.id, f.id, jsonb_build_object('source', f.feedback_source), null
    from public.feedback f join public.tasks k on k.id = f.task_id join public.property_visits v on v.id = k.visit_id
   where v.tour_id = $1
     and not exists (select from public.tour_journal j where j.feedback_id = f.id and j.entry = 'received')
  union all
  select coalesce(f.last_notification_attempt, f.updated_at), 0, 'feedback', 'notified', v.id, k.id, f.id,
         jsonb_build_object('attempts', f.notification_attempts), null
    from public.feedback f join public.tasks k on k.id = f.task_id join public.property_visits v on v.id = k.visit_id
   where v.tour_id = $1 and f.sent_to_agent
     and not exists (select from public.tour_journal j where j.feedback_id = f.id and j.entry = 'notified')`

const unwritten = `not exists (select from public.tour_journal j where j.visit_id = v.id and j.subject = 'visit')`

export interface Journal {
  readonly tour: Tour
  readonly entries: readonly JournalEntry[]
}

/** The latest `limit` entries, oldest first. */
export const journalOf = async (db: Db, tour: Tour, limit: number): Promise<Journal> => {
  const { rows } = await db.query<Row>(
    `select * from (
       select j.at, j.id, j.subject, j.entry, j.visit_id, j.task_id, j.feedback_id, j.details, j.actor
         from public.tour_journal j where j.tour_id = $1
       union all ${derived(unwritten)}
       order by at desc, id desc limit $2) latest
     order by at, id`,
    [tour.id, limit],
  )
  return { tour, entries: rows.map(({ id: _id, ...row }) => shown<JournalEntry>(row, tour.time_zone)) }
}
