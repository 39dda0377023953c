/** What is cached, under the documented names (R39, R40), and by which rows it goes. Whoever answers with a tour checks whose it is first. */
import { cached, type KeyPart, type LoadClient } from 'tidemark'

type Row = Readonly<Record<string, unknown>>

const rows = async (db: LoadClient, sql: string, ...values: readonly KeyPart[]): Promise<readonly Row[]> =>
  (await db.query<Row>(sql, values)).rows

export const reannaCaches = {
  tour: cached('reanna:tour:{tour_id}', {
    ttl: '5m',
    from: { tours: 'id' },
    load: async ({ tour_id }, db) => (await rows(db, 'select * from public.tours where id = $1', tour_id))[0] ?? null,
  }),
  /** In the order of the day. */
  visits: cached('reanna:visits:{tour_id}', {
    ttl: '5m',
    from: { property_visits: 'tour_id' },
    load: ({ tour_id }, db) =>
      rows(db, 'select * from public.property_visits where tour_id = $1 order by scheduled_arrival, id', tour_id),
  }),
  /** The first that is still to come; null after the last. */
  nextVisit: cached('reanna:next_visit:{tour_id}', {
    ttl: '5m',
    from: { property_visits: 'tour_id' },
    load: async ({ tour_id }, db) => {
      const sql = `select * from public.property_visits where tour_id = $1 and status = 'scheduled' order by scheduled_arrival, id limit 1`
      return (await rows(db, sql, tour_id))[0] ?? null
    },
  }),
  /** Counts of the whole day board. Many rows change it, so that it goes by time, and is answered while it is counted again. */
  dashboard: cached('reanna:dashboard:overview', {
    ttl: '5m',
    staleWhileRevalidate: '5m',
    load: async (_none, db) => {
      const sql = `
        select 'tours' as what, status, count(*)::int as count from public.tours group by status
        union all select 'visits', status, count(*)::int from public.property_visits group by status
        union all select 'tasks', status, count(*)::int from public.tasks group by status
        union all select 'crm', crm_sync_status, count(*)::int from public.tours group by crm_sync_status
        order by 1, 2`
      const overview: Record<string, Record<string, number>> = { tours: {}, visits: {}, tasks: {}, crm: {} }
      for (const { what, status, count } of await rows(db, sql)) overview[String(what)]![String(status)] = Number(count)
      return overview
    },
  }),
} as const
