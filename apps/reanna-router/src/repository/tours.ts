/** Tours in Postgres. Raises {@link ReannaError} and TM_POSTGRES_*. */
import { type Place, pageOf, placeSql } from 'tidemark/app'
import { mayGo, type TourStatus, tourMoves } from '../day/states.js'
import { ReannaError } from '../reanna-error.js'
import { type Db, type Row, shownTour, type Tour } from '../rows.js'
import { cancelOpenTasks } from './tasks.js'

export interface Synced {
  /** Whether there is a CRM that hears of changes. */
  readonly syncs: boolean
}

const one = (rows: readonly Row[]): Tour => {
  if (!rows[0]) throw new ReannaError('REANNA_NOT_FOUND')
  return shownTour(rows[0])
}

export const findTour = async (db: Db, id: string): Promise<Tour | null> => {
  const { rows } = await db.query<Row>('select * from public.tours where id = $1', [id])
  return rows[0] ? shownTour(rows[0]) : null
}

/** Raises REANNA_NOT_FOUND. */
export const requireTour = async (db: Db, id: string): Promise<Tour> => {
  const tour = await findTour(db, id)
  if (tour === null) throw new ReannaError('REANNA_NOT_FOUND')
  return tour
}

export interface ToursQuery {
  readonly agentId?: string | undefined
  readonly status?: string | undefined
  readonly crmSyncStatus?: string | undefined
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
  const { rows } = await db.query<Row>(
    `select t.*, ${placeSql('t.start_time')} from public.tours t
      where ($1::text is null or t.agent_id = $1) and ($2::text is null or t.status = $2)
        and ($3::text is null or t.crm_sync_status = $3)
        and ($4::boolean is null or (t.status in ('scheduled', 'in_progress')) = $4)
        and ($5::timestamptz is null or t.end_time > $5) and ($6::timestamptz is null or t.start_time < $6)
        and ($7::timestamptz is null or (t.start_time, t.id) < ($7, $8::uuid))
      order by t.start_time desc, t.id desc limit $9`,
    [
      query.agentId ?? null,
      query.status ?? null,
      query.crmSyncStatus ?? null,
      query.isActive ?? null,
      query.from ?? null,
      query.until ?? null,
      ...query.after,
      query.limit + 1,
    ],
  )
  const page = pageOf(rows, query.limit)
  return { tours: page.rows.map(shownTour), next: page.next }
}

/** Whoever changes something of a tour waits for whoever is at it. Raises REANNA_NOT_FOUND. */
export const lockTour = async (db: Db, id: string): Promise<Tour> =>
  one((await db.query<Row>('select * from public.tours where id = $1 for update', [id])).rows)

/** The visits that are left are skipped, the one where the agent stands ends now. */
const closeVisits = async (db: Db, tourId: string): Promise<void> => {
  await db.query(
    `update public.tasks set status = 'completed', completed_time = now()
      where status = 'in_progress' and task_type = 'property_tour'
        and visit_id in (select id from public.property_visits where tour_id = $1 and status = 'arrived')`,
    [tourId],
  )
  await db.query(
    `update public.property_visits
        set status = case status when 'arrived' then 'completed' else 'skipped' end,
            actual_departure = case status when 'arrived' then greatest(now(), actual_arrival) else actual_departure end
      where tour_id = $1 and status in ('scheduled', 'arrived')`,
    [tourId],
  )
}

const hasOpenVisits = async (db: Db, tourId: string): Promise<boolean> => {
  const { rows } = await db.query(
    `select 1 from public.property_visits where tour_id = $1 and status in ('scheduled', 'arrived') limit 1`,
    [tourId],
  )
  return rows.length > 0
}

const beforeStatus = async (db: Db, tour: Tour, to: TourStatus, force: boolean): Promise<void> => {
  if (to === 'cancelled') {
    await db.query(
      `update public.property_visits set status = 'cancelled' where tour_id = $1 and status in ('scheduled', 'arrived')`,
      [tour.id],
    )
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

/** Without a look at what it was: the caller has locked and asked. */
export const setTourStatus = async (db: Db, id: string, to: TourStatus, { syncs }: Synced): Promise<Tour> => {
  const sql = syncs
    ? `update public.tours set status = $2, crm_sync_status = 'pending' where id = $1 returning *`
    : 'update public.tours set status = $2 where id = $1 returning *'
  return one((await db.query<Row>(sql, [id, to])).rows)
}

/** Has the CRM be told of it as it is. */
export const requestSync = async (db: Db, id: string): Promise<Tour> =>
  one((await db.query<Row>(`update public.tours set crm_sync_status = 'pending' where id = $1 returning *`, [id])).rows)
