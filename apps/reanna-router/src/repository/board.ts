/** The day board: each tour of a day with its stops, planned and as they went. */
import { type Db, type Row, shown, type Tour, type Visit } from '../rows.js'

export interface BoardStop extends Pick<Visit, 'id' | 'address' | 'status' | 'scheduled_arrival' | 'scheduled_departure'> {
  readonly actual_arrival: string | null
  readonly actual_departure: string | null
  /** Later than planned; negative: earlier. Null before the arrival. */
  readonly late_minutes: number | null
  readonly pending_tasks: number
  readonly feedback: number
}

export interface BoardTour extends Pick<Tour, 'id' | 'agent_id' | 'status' | 'start_time' | 'end_time' | 'crm_sync_status'> {
  readonly stops: readonly BoardStop[]
}

export interface Board {
  /** Null: of today, as clocks show it where each tour is. */
  readonly day: string | null
  readonly tours: readonly BoardTour[]
}

const mostTours = 200

/** Days are those of each tour's own zone; the bounds let the index choose first. */
export const boardOf = async (db: Db, day: string | null): Promise<Board> => {
  const { rows: tours } = await db.query<Row>(
    `select t.id, t.agent_id, t.status, t.start_time, t.end_time, t.crm_sync_status, t.time_zone as zone from public.tours t
      where t.start_time >= coalesce($1::text::date, current_date) - interval '2 days'
        and t.start_time < coalesce($1::text::date, current_date) + interval '3 days'
        and to_char(t.start_time at time zone 'UTC' + reanna.zone_offset(t.time_zone, t.start_time), 'YYYY-MM-DD')
          = coalesce($1::text, to_char(now() at time zone 'UTC' + reanna.zone_offset(t.time_zone, now()), 'YYYY-MM-DD'))
      order by t.start_time, t.id limit $2`,
    [day, mostTours],
  )
  const { rows: stops } = await db.query<Row & { readonly tour_id: string }>(
    `select v.tour_id, v.id, v.address, v.status, v.scheduled_arrival, v.scheduled_departure, v.actual_arrival, v.actual_departure,
            round(extract(epoch from v.actual_arrival - v.scheduled_arrival) / 60)::int as late_minutes,
            (select count(*)::int from public.tasks k where k.visit_id = v.id and k.status in ('scheduled', 'in_progress')) as pending_tasks,
            (select count(*)::int from public.feedback f join public.tasks k on k.id = f.task_id where k.visit_id = v.id) as feedback
       from public.property_visits v where v.tour_id = any ($1::uuid[]) order by v.scheduled_arrival, v.id`,
    [tours.map(({ id }) => id)],
  )
  return {
    day,
    tours: tours.map(({ zone, ...tour }) => ({
      ...shown<Omit<BoardTour, 'stops'>>(tour, String(zone)),
      stops: stops
        .filter(({ tour_id: tourId }) => tourId === tour['id'])
        .map(({ tour_id: _tour, ...stop }) => shown<BoardStop>(stop, String(zone))),
    })),
  }
}
