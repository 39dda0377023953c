/** What is cached, under the documented names (R39, R40), and by which rows it goes. Whoever answers with a tour checks whose it is first. */
import { cached } from 'tidemark'
import { findTour } from './repository/tours.js'
import { nextVisit, visitsOf } from './repository/visits.js'

/** Times are shown in the zone of the tour. */
const visitRules = { property_visits: 'tour_id', tours: 'id' } as const

export const reannaCaches = {
  tour: cached('reanna:tour:{tour_id}', {
    ttl: '5m',
    from: { tours: 'id' },
    load: ({ tour_id }, db) => findTour(db, String(tour_id)),
  }),
  /** In the order of the day. */
  visits: cached('reanna:visits:{tour_id}', {
    ttl: '5m',
    from: visitRules,
    load: ({ tour_id }, db) => visitsOf(db, String(tour_id)),
  }),
  /** The first that is still to come; null after the last. */
  nextVisit: cached('reanna:next_visit:{tour_id}', {
    ttl: '5m',
    from: visitRules,
    load: ({ tour_id }, db) => nextVisit(db, String(tour_id)),
  }),
  /** Counts of the whole day board. Many rows change it, so that it goes by time, and is answered while it is counted again. */
  dashboard: cached('reanna:dashboard:overview', {
    ttl: '5m',
    staleWhileRevalidate: '5m',
    load: async (_none, db) => {
      const { rows } = await db.query<{ what: string; status: string; count: number }>(`
        select 'tours' as what, status, count(*)::int as count from public.tours group by status
        union all select 'visits', status, count(*)::int from public.property_visits group by status
        union all select 'tasks', status, count(*)::int from public.tasks group by status
        union all select 'crm', crm_sync_status, count(*)::int from public.tours group by crm_sync_status
        order by 1, 2`)
      const overview: Record<string, Record<string, number>> = { tours: {}, visits: {}, tasks: {}, crm: {} }
      for (const { what, status, count } of rows) overview[what]![status] = count
      return overview
    },
  }),
} as const

export type ReannaCaches = typeof reannaCaches
