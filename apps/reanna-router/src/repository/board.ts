/** The day board: each tour of a day with its stops, planned and as they went. */
import { type SqlBool, sql } from 'kysely'
import { type Place, pageOf } from 'tidemark/app'
import type { Board } from '../answers.js'
import { type Db, shown } from '../rows.js'
import { isPast, placeAt, rowsOf, tables } from '../tables.js'

export interface BoardQuery {
  /** Null: today, as clocks show it where each tour is. */
  readonly day: string | null
  readonly limit: number
  readonly after: Place
}

/** The day on which clocks in the zone of the tour show that moment. */
const dayThere = (moment: string) => {
  const at = sql.raw(moment)
  return sql<string>`to_char(${at} at time zone 'UTC' + reanna.zone_offset(t.time_zone, ${at}), 'YYYY-MM-DD')`
}

/** Days are those of each tour's own zone; the bounds let the index choose first. The earliest first. */
const toursOf = (day: string | null) => {
  const about = day === null ? sql`current_date` : sql`${day}::date`
  return tables
    .selectFrom('tours as t')
    .select(['t.id', 't.agent_id', 't.status', 't.start_time', 't.end_time', 't.crm_sync_status', 't.time_zone as zone'])
    .select(placeAt('t.start_time'))
    .where('t.start_time', '>=', sql<Date>`${about} - interval '2 days'`)
    .where('t.start_time', '<', sql<Date>`${about} + interval '3 days'`)
    .where(sql<SqlBool>`${dayThere('t.start_time')} = ${day === null ? dayThere('now()') : day}`)
    .orderBy('t.start_time')
    .orderBy('t.id')
}

/** Of several tours, in the order of the day. */
const stopsOf = (tours: readonly string[]) =>
  tables
    .selectFrom('property_visits as v')
    .select([
      'v.tour_id',
      'v.id',
      'v.address',
      'v.status',
      'v.scheduled_arrival',
      'v.scheduled_departure',
      'v.actual_arrival',
      'v.actual_departure',
      sql<number | null>`round(extract(epoch from v.actual_arrival - v.scheduled_arrival) / 60)::int`.as('late_minutes'),
      sql<number>`(select count(*)::int from public.tasks k
                    where k.visit_id = v.id and k.status in ('scheduled', 'in_progress'))`.as('pending_tasks'),
      sql<number>`(select count(*)::int from public.feedback f join public.tasks k on k.id = f.task_id
                    where k.visit_id = v.id)`.as('feedback'),
    ])
    .where('v.tour_id', '=', sql<string>`any (${tours}::uuid[])`)
    .orderBy('v.scheduled_arrival')
    .orderBy('v.id')

export const boardOf = async (db: Db, { day, limit, after }: BoardQuery): Promise<Board> => {
  const wanted = toursOf(day).where(isPast('t.start_time', 't.id', after))
  const page = pageOf(await rowsOf(db, wanted.limit(limit + 1)), limit)
  const stops = await rowsOf(db, stopsOf(page.rows.map(({ id }) => id)))
  return {
    day,
    tours: page.rows.map(({ zone, ...tour }) => ({
      ...shown(tour, zone),
      stops: stops.filter(({ tour_id: tourId }) => tourId === tour.id).map(({ tour_id: _tour, ...stop }) => shown(stop, zone)),
    })),
    next: page.next,
  }
}
