/** What happened on a tour, in order. */
import { type RawBuilder, sql } from 'kysely'
import { type Place, pageOf } from 'tidemark/app'
import { type Db, type JournalEntry, shown, type Tour } from '../rows.js'
import { isPast, placeAt, rowsOf, written } from '../tables.js'

/** Its place among those of the same moment: what was written by its number, after what the rows tell, which is in the order of {@link derived}. */
const numbered = sql`('ff' || lpad(to_hex(j.id), 30, '0'))::uuid`
const ranked = (rank: number, of: string) => sql`('0${sql.raw(String(rank))}' || substr(md5(${sql.ref(of)}::text), 3))::uuid`

/** What tours that came out of the old file tell of themselves: they have no journal of their own. */
const derived = (tour: string): RawBuilder<unknown> => {
  const unwritten = sql`not exists (select from public.tour_journal j where j.visit_id = v.id and j.subject = 'visit')`
  const untold = (entry: string) =>
    sql`not exists (select from public.tour_journal j where j.feedback_id = f.id and j.entry = ${sql.lit(entry)})`
  const visits = sql`from public.property_visits v where v.tour_id = ${tour}`
  const feedback = sql`from public.feedback f join public.tasks k on k.id = f.task_id
    join public.property_visits v on v.id = k.visit_id where v.tour_id = ${tour}`
  const address = sql`jsonb_build_object('address', v.address)`
  return sql`
    select v.actual_arrival as at, ${ranked(1, 'v.id')} as id, 'visit' as subject, 'arrived' as entry, v.id as visit_id,
           null::uuid as task_id, null::uuid as feedback_id, ${address} as details, null::text as actor
      ${visits} and v.actual_arrival is not null and ${unwritten}
    union all
    select v.actual_departure, ${ranked(2, 'v.id')}, 'visit', 'completed', v.id, null, null, ${address}, null
      ${visits} and v.actual_departure is not null and ${unwritten}
    union all
    select f.timestamp, ${ranked(3, 'f.id')}, 'feedback', 'received', v.id, k.id, f.id,
           jsonb_build_object('source', f.feedback_source), null
      ${feedback} and ${untold('received')}
    union all
    select coalesce(f.last_notification_attempt, f.updated_at), ${ranked(4, 'f.id')}, 'feedback', 'notified', v.id, k.id, f.id,
           jsonb_build_object('attempts', f.notification_attempts), null
      ${feedback} and f.sent_to_agent and ${untold('notified')}`
}

interface StoredEntry extends Omit<JournalEntry, 'at'> {
  readonly at: Date
  readonly id: string
  readonly place: string
}

export interface Journal {
  readonly tour: Tour
  readonly entries: readonly JournalEntry[]
  /** The cursor of the page before. */
  readonly next: string | null
}

/** The latest `limit` entries before a place, oldest first. */
export const journalOf = async (
  db: Db,
  tour: Tour,
  { limit, after }: { readonly limit: number; readonly after: Place },
): Promise<Journal> => {
  const rows = await rowsOf(
    db,
    written(sql<StoredEntry>`
      select *, ${placeAt('at')} from (
        select j.at, ${numbered} as id, j.subject, j.entry, j.visit_id, j.task_id, j.feedback_id, j.details, j.actor
          from public.tour_journal j where j.tour_id = ${tour.id}
        union all ${derived(tour.id)}) told
       where ${isPast('at', 'id', after, 'desc')}
       order by at desc, id desc limit ${limit + 1}`),
  )
  const page = pageOf(rows, limit)
  return { tour, entries: page.rows.map(({ id: _id, ...row }) => shown(row, tour.time_zone)).reverse(), next: page.next }
}
