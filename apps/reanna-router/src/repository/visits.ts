/** Visits in Postgres, and what an arrival or a departure brings about. */
import { type Place, pageOf, placeSql } from 'tidemark/app'
import { mayGo, type VisitStatus, visitMoves } from '../day/states.js'
import type { NewVisit } from '../input.js'
import type { PlannedVisit } from '../planning.js'
import { ReannaError } from '../reanna-error.js'
import { type Db, type Row, shown, shownInZone, type Tour, type Visit } from '../rows.js'
import { cancelOpenTasks } from './tasks.js'
import { lockTour, type Synced, setTourStatus } from './tours.js'

/** Of a visit `v` and its tour `t`. */
const columns = 'v.*, t.time_zone as zone'
const source = 'public.property_visits v join public.tours t on t.id = v.tour_id'
/** The order of the day. */
const inOrder = 'order by v.scheduled_arrival, v.id'

export const visitsOf = async (db: Db, tourId: string): Promise<readonly Visit[]> => {
  const { rows } = await db.query<Row>(`select ${columns} from ${source} where v.tour_id = $1 ${inOrder}`, [tourId])
  return rows.map((row) => shownInZone<Visit>(row))
}

export interface VisitsQuery {
  readonly tourId?: string | undefined
  readonly status?: string | undefined
  readonly limit: number
  readonly after: Place
}

export interface VisitPage {
  readonly visits: readonly Visit[]
  /** The cursor of the next page. */
  readonly next: string | null
}

export const listVisits = async (db: Db, { tourId, status, limit, after }: VisitsQuery): Promise<VisitPage> => {
  const { rows } = await db.query<Row>(
    `select ${columns}, ${placeSql('v.scheduled_arrival')} from ${source}
      where ($1::uuid is null or v.tour_id = $1) and ($2::text is null or v.status = $2)
        and ($3::timestamptz is null or (v.scheduled_arrival, v.id) > ($3, $4::uuid))
      ${inOrder} limit $5`,
    [tourId ?? null, status ?? null, ...after, limit + 1],
  )
  const page = pageOf(rows, limit)
  return { visits: page.rows.map((row) => shownInZone<Visit>(row)), next: page.next }
}

/** The first that is still to come; null after the last. */
export const nextVisit = async (db: Db, tourId: string): Promise<Visit | null> => {
  const { rows } = await db.query<Row>(
    `select ${columns} from ${source} where v.tour_id = $1 and v.status = 'scheduled' ${inOrder} limit 1`,
    [tourId],
  )
  return rows[0] ? shownInZone<Visit>(rows[0]) : null
}

/** Where the agent is; of several the one arrived at last. */
export const currentVisit = async (db: Db, tourId: string): Promise<Visit | null> => {
  const { rows } = await db.query<Row>(
    `select ${columns} from ${source} where v.tour_id = $1 and v.status = 'arrived'
      order by v.actual_arrival desc nulls last, v.id limit 1`,
    [tourId],
  )
  return rows[0] ? shownInZone<Visit>(rows[0]) : null
}

/** Raises REANNA_NOT_FOUND. */
export const requireVisit = async (db: Db, id: string): Promise<Visit> => {
  const { rows } = await db.query<Row>(`select ${columns} from ${source} where v.id = $1`, [id])
  if (!rows[0]) throw new ReannaError('REANNA_NOT_FOUND')
  return shownInZone<Visit>(rows[0])
}

/** Visits as planned, each with the task that stands for it and the ids by which CRMs know of it. */
export const insertVisits = async (db: Db, tourId: string, visits: readonly PlannedVisit[]): Promise<void> => {
  if (visits.length === 0) return
  const given = visits.map(({ id, property, arrival, departure }) => ({
    ...property,
    id,
    scheduled_arrival: arrival,
    scheduled_departure: departure,
  }))
  await db.query(
    `insert into public.property_visits (id, tour_id, address, property_id, scheduled_arrival, scheduled_departure, status,
       sellside_agent_id, sellside_agent_name, contact_method, confirmation_status, constraint_indicator, square_footage, video_url)
     select v.id, $1, v.address, v.property_id, v.scheduled_arrival, v.scheduled_departure, 'scheduled',
            v.sellside_agent_id, v.sellside_agent_name, v.contact_method, v.confirmation_status, v.constraint_indicator,
            v.square_footage, v.video_url
       from jsonb_populate_recordset(null::public.property_visits, $2::jsonb) v order by v.scheduled_arrival`,
    [tourId, JSON.stringify(given)],
  )
  const ids = visits.map(({ id }) => id)
  await db.query(
    `insert into public.tasks (visit_id, task_type, status, scheduled_time)
       select v.id, 'property_tour', 'scheduled', v.scheduled_arrival from public.property_visits v
        where v.id = any ($1::uuid[]) order by v.scheduled_arrival`,
    [ids],
  )
  const references = visits.flatMap(({ id, property }) => property.references.map((each) => ({ ...each, visit_id: id })))
  if (references.length === 0) return
  await db.query(
    `insert into reanna.visit_refs (visit_id, provider, tenant, entity_type, external_id)
       select r.visit_id, r.provider, r.tenant, r.entity_type, r.external_id
         from jsonb_populate_recordset(null::reanna.visit_refs, $1::jsonb) r on conflict do nothing`,
    [JSON.stringify(references)],
  )
}

/** One more stop. Without times it comes after the last. Raises REANNA_NOT_FOUND, REANNA_ILLEGAL_MOVE, REANNA_INVALID. */
export const addVisit = async (
  db: Db,
  wanted: NewVisit,
  plan: (tour: Tour, last: Visit | undefined) => PlannedVisit,
): Promise<Visit> => {
  const tour = await lockTour(db, wanted.tour_id)
  if (tour.status === 'completed' || tour.status === 'cancelled')
    throw new ReannaError('REANNA_ILLEGAL_MOVE', 'The tour has ended.')
  const planned = plan(tour, (await visitsOf(db, tour.id)).at(-1))
  await insertVisits(db, tour.id, [planned])
  return requireVisit(db, planned.id)
}

interface Locked {
  readonly tour: Tour
  readonly visit: Row
}

/** The tour first, as everybody does. */
const lockVisit = async (db: Db, id: string): Promise<Locked> => {
  const { tour_id: tourId } = await requireVisit(db, id)
  const tour = await lockTour(db, tourId)
  const { rows } = await db.query<Row>('select * from public.property_visits where id = $1 for update', [id])
  if (!rows[0]) throw new ReannaError('REANNA_NOT_FOUND')
  return { tour, visit: rows[0] }
}

const startTour = async (db: Db, tour: Tour, synced: Synced): Promise<void> => {
  if (tour.status === 'scheduled') await setTourStatus(db, tour.id, 'in_progress', synced)
}

/** The task that stands for the visit goes along. */
const arrived = async (db: Db, { tour, visit }: Locked, at: Date | null, synced: Synced): Promise<void> => {
  await startTour(db, tour, synced)
  await db.query(`update public.property_visits set status = 'arrived', actual_arrival = coalesce($2, now()) where id = $1`, [
    visit['id'],
    at,
  ])
  await db.query(
    `update public.tasks set status = 'in_progress' where visit_id = $1 and task_type = 'property_tour' and status = 'scheduled'`,
    [visit['id']],
  )
}

/** What was seen there is asked for next. */
const departed = async (db: Db, { visit }: Locked, at: Date | null): Promise<void> => {
  const arrival = visit['actual_arrival'] as Date | null
  if (at !== null && arrival !== null && at < arrival)
    throw new ReannaError('REANNA_INVALID', 'at: a departure does not come before the arrival.')
  const { rows } = await db.query<{ actual_departure: Date }>(
    `update public.property_visits set status = 'completed', actual_departure = coalesce($2, greatest(now(), actual_arrival))
      where id = $1 returning actual_departure`,
    [visit['id'], at],
  )
  const departure = rows[0]?.actual_departure
  await db.query(
    `update public.tasks set status = 'completed', completed_time = $2
      where visit_id = $1 and task_type = 'property_tour' and status = 'in_progress'`,
    [visit['id'], departure],
  )
  await db.query(
    `insert into public.tasks (visit_id, task_type, status, scheduled_time) values ($1, 'feedback_collection', 'scheduled', $2)`,
    [visit['id'], departure],
  )
}

const left = async (db: Db, { visit }: Locked, to: 'skipped' | 'cancelled'): Promise<void> => {
  await db.query('update public.property_visits set status = $2 where id = $1', [visit['id'], to])
  await cancelOpenTasks(db, { visitId: String(visit['id']) })
}

export interface VisitChange extends Synced {
  /** When it happened; now where left out. */
  readonly at?: Date | undefined
}

/** Where it is so already, nothing changes. Raises REANNA_NOT_FOUND, REANNA_ILLEGAL_MOVE, REANNA_INVALID. */
export const changeVisitStatus = async (db: Db, id: string, to: VisitStatus, { at, syncs }: VisitChange): Promise<Visit> => {
  const locked = await lockVisit(db, id)
  const from = locked.visit['status'] as VisitStatus
  if (from === to) return shown<Visit>(locked.visit, locked.tour.time_zone)
  if (!mayGo(visitMoves, from, to)) throw new ReannaError('REANNA_ILLEGAL_MOVE')
  if (to === 'arrived') await arrived(db, locked, at ?? null, { syncs })
  else if (to === 'completed') await departed(db, locked, at ?? null)
  else if (to === 'skipped' || to === 'cancelled') await left(db, locked, to)
  return requireVisit(db, id)
}
