/** Tours in Postgres. Raises {@link ReannaError} and TM_POSTGRES_*. */
import { sql } from 'kysely'
import { type Place, pageOf } from 'tidemark/app'
import { type CrmSyncStatus, mayGo, type TourStatus, tourMoves, type VisitStatus } from '../day/states.js'
import { ReannaError } from '../reanna-error.js'
import { type Db, shownTour, type Tour } from '../rows.js'
import { firstOf, isPast, now, ofTour, placeAt, rowsOf, tables, tourColumns } from '../tables.js'
import { cancelOpenTasks } from './tasks.js'

export interface Synced {
  /** Whether there is a CRM that hears of changes. */
  readonly syncs: boolean
}

const select = tables.selectFrom('tours').select(tourColumns)

/** Still to come, or where the agent is. */
const open = ['scheduled', 'arrived'] as const satisfies readonly VisitStatus[]

const openVisits = tables.updateTable('property_visits').where('status', 'in', open)

export const findTour = async (db: Db, id: string): Promise<Tour | null> => {
  const row = await firstOf(db, select.where('id', '=', id))
  return row ? shownTour(row) : null
}

/** Raises REANNA_NOT_FOUND. */
export const requireTour = async (db: Db, id: string): Promise<Tour> => {
  const tour = await findTour(db, id)
  if (tour === null) throw new ReannaError('REANNA_NOT_FOUND')
  return tour
}

export interface ToursQuery {
  readonly agentId?: string | undefined
  readonly status?: TourStatus | undefined
  readonly crmSyncStatus?: CrmSyncStatus | undefined
  /** Not ended yet. */
  readonly isActive?: boolean | undefined
  readonly from?: string | undefined
  readonly until?: string | undefined
  readonly limit: number
  readonly after: Place
}

export interface TourPage {
  readonly tours: readonly Tour[]
  /** The cursor of the next page. */
  readonly next: string | null
}

/** The latest day first. Whose rows are seen is row security's to say. */
export const listTours = async (db: Db, query: ToursQuery): Promise<TourPage> => {
  const { agentId, status, crmSyncStatus, isActive, from, until, limit, after } = query
  let wanted = tables
    .selectFrom('tours as t')
    .select([...ofTour, placeAt('t.start_time')])
    .where(isPast('t.start_time', 't.id', after, 'desc'))
  if (agentId !== undefined) wanted = wanted.where('t.agent_id', '=', agentId)
  if (status !== undefined) wanted = wanted.where('t.status', '=', status)
  if (crmSyncStatus !== undefined) wanted = wanted.where('t.crm_sync_status', '=', crmSyncStatus)
  if (isActive !== undefined) wanted = wanted.where('t.status', isActive ? 'in' : 'not in', ['scheduled', 'in_progress'])
  if (from !== undefined) wanted = wanted.where('t.end_time', '>', sql<Date>`${from}::timestamptz`)
  if (until !== undefined) wanted = wanted.where('t.start_time', '<', sql<Date>`${until}::timestamptz`)
  const rows = await rowsOf(
    db,
    wanted
      .orderBy('t.start_time', 'desc')
      .orderBy('t.id', 'desc')
      .limit(limit + 1),
  )
  const page = pageOf(rows, limit)
  return { tours: page.rows.map(shownTour), next: page.next }
}

/** Whoever changes something of a tour waits for whoever is at it. Raises REANNA_NOT_FOUND. */
export const lockTour = async (db: Db, id: string): Promise<Tour> => {
  const row = await firstOf(db, select.where('id', '=', id).forUpdate())
  if (!row) throw new ReannaError('REANNA_NOT_FOUND')
  return shownTour(row)
}

/** The visits that are left are skipped, the one where the agent stands ends now. */
const closeVisits = async (db: Db, tourId: string): Promise<void> => {
  const where = tables.selectFrom('property_visits').select('id').where('tour_id', '=', tourId).where('status', '=', 'arrived')
  await rowsOf(
    db,
    tables
      .updateTable('tasks')
      .set({ status: 'completed', completed_time: now })
      .where('status', '=', 'in_progress')
      .where('task_type', '=', 'property_tour')
      .where('visit_id', 'in', where),
  )
  const isThere = sql<boolean>`status = 'arrived'`
  await rowsOf(
    db,
    openVisits
      .set({
        status: sql<VisitStatus>`case when ${isThere} then 'completed' else 'skipped' end`,
        actual_departure: sql<Date>`case when ${isThere} then greatest(now(), actual_arrival) else actual_departure end`,
      })
      .where('tour_id', '=', tourId),
  )
}

const hasOpenVisits = async (db: Db, tourId: string): Promise<boolean> => {
  const some = tables.selectFrom('property_visits').select('id').where('tour_id', '=', tourId).where('status', 'in', open)
  return (await firstOf(db, some.limit(1))) !== undefined
}

const beforeStatus = async (db: Db, tour: Tour, to: TourStatus, force: boolean): Promise<void> => {
  if (to === 'cancelled') {
    await rowsOf(db, openVisits.set({ status: 'cancelled' }).where('tour_id', '=', tour.id))
    await cancelOpenTasks(db, { tourId: tour.id })
  }
  if (to !== 'completed') return
  if (force) {
    await closeVisits(db, tour.id)
    await cancelOpenTasks(db, { tourId: tour.id, ofVisits: ['skipped', 'cancelled'] })
  } else if (await hasOpenVisits(db, tour.id)) throw new ReannaError('REANNA_OPEN_VISITS')
}

/**
 * Where it is so already, nothing changes. A cancelled tour takes its open visits and tasks along; a completed one has no open visit, or closes them
 * by `force`. Raises REANNA_ILLEGAL_MOVE, REANNA_OPEN_VISITS.
 */
export const changeTourStatus = async (
  db: Db,
  id: string,
  to: TourStatus,
  { force = false, syncs }: Synced & { readonly force?: boolean },
): Promise<Tour> => {
  const tour = await lockTour(db, id)
  if (tour.status === to) return tour
  if (!mayGo(tourMoves, tour.status, to)) throw new ReannaError('REANNA_ILLEGAL_MOVE')
  await beforeStatus(db, tour, to, force)
  return setTourStatus(db, id, to, { syncs })
}

const update = async (
  db: Db,
  id: string,
  values: { readonly status?: TourStatus; readonly crm_sync_status?: CrmSyncStatus },
): Promise<Tour> => {
  const row = await firstOf(db, tables.updateTable('tours').set(values).where('id', '=', id).returning(tourColumns))
  if (!row) throw new ReannaError('REANNA_NOT_FOUND')
  return shownTour(row)
}

/** Without a look at what it was: the caller has locked and asked. */
export const setTourStatus = (db: Db, id: string, to: TourStatus, { syncs }: Synced): Promise<Tour> =>
  update(db, id, { status: to, ...(syncs && { crm_sync_status: 'pending' }) })

/** Has the CRM be told of it as it is. */
export const requestSync = (db: Db, id: string): Promise<Tour> => update(db, id, { crm_sync_status: 'pending' })
