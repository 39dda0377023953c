/** Visits in Postgres, and what an arrival or a departure brings about. */
import { type Selectable, sql } from 'kysely'
import { type Place, pageOf } from 'tidemark/app'
import { mayGo, type TaskStatus, type VisitStatus, visitMoves } from '../day/states.js'
import type { NewVisit } from '../input.js'
import type { PlannedVisit } from '../planning.js'
import { ReannaError } from '../reanna-error.js'
import { type Db, shown, shownInZone, type Tour, type Visit } from '../rows.js'
import { firstOf, isPast, now, ofVisit, placeAt, rowsOf, type Tables, tables, visitColumns, zone } from '../tables.js'
import { cancelOpenTasks } from './tasks.js'
import { lockTour, type Synced, setTourStatus } from './tours.js'

/** A tour is a day of one agent: it takes no more stops, so that they are read as a whole. */
const mostVisits = 200

const select = tables
  .selectFrom('property_visits as v')
  .innerJoin('tours as t', 't.id', 'v.tour_id')
  .select([...ofVisit, zone])

/** The order of the day. */
const inOrder = select.orderBy('v.scheduled_arrival').orderBy('v.id')

/** Of a tour, all. */
export const visitsOf = async (db: Db, tourId: string): Promise<readonly Visit[]> =>
  (await rowsOf(db, inOrder.where('v.tour_id', '=', tourId).limit(mostVisits))).map(shownInZone)

export interface VisitsQuery {
  readonly tourId?: string | undefined
  readonly status?: VisitStatus | undefined
  readonly limit: number
  readonly after: Place
}

export interface VisitPage {
  readonly visits: readonly Visit[]
  /** The cursor of the next page. */
  readonly next: string | null
}

export const listVisits = async (db: Db, { tourId, status, limit, after }: VisitsQuery): Promise<VisitPage> => {
  let wanted = inOrder.select(placeAt('v.scheduled_arrival')).where(isPast('v.scheduled_arrival', 'v.id', after))
  if (tourId !== undefined) wanted = wanted.where('v.tour_id', '=', tourId)
  if (status !== undefined) wanted = wanted.where('v.status', '=', status)
  const page = pageOf(await rowsOf(db, wanted.limit(limit + 1)), limit)
  return { visits: page.rows.map(shownInZone), next: page.next }
}

/** The first that is still to come; null after the last. */
export const nextVisit = async (db: Db, tourId: string): Promise<Visit | null> => {
  const row = await firstOf(db, inOrder.where('v.tour_id', '=', tourId).where('v.status', '=', 'scheduled').limit(1))
  return row ? shownInZone(row) : null
}

/** Where the agent is; of several the one arrived at last. */
export const currentVisit = async (db: Db, tourId: string): Promise<Visit | null> => {
  const row = await firstOf(
    db,
    select
      .where('v.tour_id', '=', tourId)
      .where('v.status', '=', 'arrived')
      .orderBy('v.actual_arrival', (order) => order.desc().nullsLast())
      .orderBy('v.id')
      .limit(1),
  )
  return row ? shownInZone(row) : null
}

/** Raises REANNA_NOT_FOUND. */
export const requireVisit = async (db: Db, id: string): Promise<Visit> => {
  const row = await firstOf(db, select.where('v.id', '=', id))
  if (!row) throw new ReannaError('REANNA_NOT_FOUND')
  return shownInZone(row)
}

/** Visits as planned, each with the task that stands for it and the ids by which CRMs know of it. */
export const insertVisits = async (db: Db, tourId: string, given: readonly PlannedVisit[]): Promise<void> => {
  if (given.length === 0) return
  const visits = given.toSorted((one, other) => one.arrival.getTime() - other.arrival.getTime())
  const rows = visits.map(({ id, property, arrival, departure }) => ({
    id,
    tour_id: tourId,
    address: property.address,
    property_id: property.property_id ?? null,
    scheduled_arrival: arrival,
    scheduled_departure: departure,
    status: 'scheduled' as const,
    sellside_agent_id: property.sellside_agent_id ?? null,
    sellside_agent_name: property.sellside_agent_name ?? null,
    contact_method: property.contact_method ?? null,
    confirmation_status: property.confirmation_status ?? null,
    constraint_indicator: property.constraint_indicator ?? null,
    square_footage: property.square_footage ?? null,
    video_url: property.video_url ?? null,
  }))
  await rowsOf(db, tables.insertInto('property_visits').values(rows))
  const tasks = visits.map(({ id, arrival }) => ({
    visit_id: id,
    task_type: 'property_tour' as const,
    status: 'scheduled' as const,
    scheduled_time: arrival,
  }))
  await rowsOf(db, tables.insertInto('tasks').values(tasks))
  const references = visits.flatMap(({ id, property }) => property.references.map((each) => ({ ...each, visit_id: id })))
  if (references.length === 0) return
  const insert = tables.insertInto('reanna.visit_refs').values(references)
  await rowsOf(
    db,
    insert.onConflict((conflict) => conflict.doNothing()),
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
  const visits = await visitsOf(db, tour.id)
  if (visits.length >= mostVisits) throw new ReannaError('REANNA_INVALID', `A tour has at most ${mostVisits} stops.`)
  const planned = plan(tour, visits.at(-1))
  await insertVisits(db, tour.id, [planned])
  return requireVisit(db, planned.id)
}

interface Locked {
  readonly tour: Tour
  readonly visit: Selectable<Tables['property_visits']>
}

/** The tour first, as everybody does. */
const lockVisit = async (db: Db, id: string): Promise<Locked> => {
  const { tour_id: tourId } = await requireVisit(db, id)
  const tour = await lockTour(db, tourId)
  const visit = await firstOf(db, tables.selectFrom('property_visits').select(visitColumns).where('id', '=', id).forUpdate())
  if (!visit) throw new ReannaError('REANNA_NOT_FOUND')
  return { tour, visit }
}

const startTour = async (db: Db, tour: Tour, synced: Synced): Promise<void> => {
  if (tour.status === 'scheduled') await setTourStatus(db, tour.id, 'in_progress', synced)
}

/** The task that stands for the visit, where it is in that state. */
const taskOf = (visitId: string, status: TaskStatus) =>
  tables
    .updateTable('tasks')
    .where('visit_id', '=', visitId)
    .where('task_type', '=', 'property_tour')
    .where('status', '=', status)

/** The task that stands for the visit goes along. */
const arrived = async (db: Db, { tour, visit }: Locked, at: Date | null, synced: Synced): Promise<void> => {
  await startTour(db, tour, synced)
  const arrival = { status: 'arrived', actual_arrival: at ?? now } as const
  await rowsOf(db, tables.updateTable('property_visits').set(arrival).where('id', '=', visit.id))
  await rowsOf(db, taskOf(visit.id, 'scheduled').set({ status: 'in_progress' }))
}

/** What was seen there is asked for next. */
const departed = async (db: Db, { visit }: Locked, at: Date | null): Promise<void> => {
  if (at !== null && visit.actual_arrival !== null && at < visit.actual_arrival)
    throw new ReannaError('REANNA_INVALID', 'at: a departure does not come before the arrival.')
  const leaving = tables
    .updateTable('property_visits')
    .set({ status: 'completed', actual_departure: at ?? sql<Date>`greatest(now(), actual_arrival)` })
    .where('id', '=', visit.id)
    .returning('actual_departure')
  const departure = (await firstOf(db, leaving))!.actual_departure!
  await rowsOf(db, taskOf(visit.id, 'in_progress').set({ status: 'completed', completed_time: departure }))
  const asking = { visit_id: visit.id, task_type: 'feedback_collection', status: 'scheduled', scheduled_time: departure } as const
  await rowsOf(db, tables.insertInto('tasks').values(asking))
}

const left = async (db: Db, { visit }: Locked, to: 'skipped' | 'cancelled'): Promise<void> => {
  await rowsOf(db, tables.updateTable('property_visits').set({ status: to }).where('id', '=', visit.id))
  await cancelOpenTasks(db, { visitId: visit.id })
}

export interface VisitChange extends Synced {
  /** When it happened; now where left out. */
  readonly at?: Date | undefined
}

/** Where it is so already, nothing changes. Raises REANNA_NOT_FOUND, REANNA_ILLEGAL_MOVE, REANNA_INVALID. */
export const changeVisitStatus = async (db: Db, id: string, to: VisitStatus, { at, syncs }: VisitChange): Promise<Visit> => {
  const locked = await lockVisit(db, id)
  const { status: from } = locked.visit
  if (from === to) return shown(locked.visit, locked.tour.time_zone)
  if (!mayGo(visitMoves, from, to)) throw new ReannaError('REANNA_ILLEGAL_MOVE')
  if (to === 'arrived') await arrived(db, locked, at ?? null, { syncs })
  else if (to === 'completed') await departed(db, locked, at ?? null)
  else if (to === 'skipped' || to === 'cancelled') await left(db, locked, to)
  return requireVisit(db, id)
}
