import type { PlannedTour } from '../planning.js'
import { type Db, type Row, shownTour, type Tour } from '../rows.js'
import type { Synced } from './tours.js'
import { insertVisits } from './visits.js'

/** The tour, its visits, and a task for each. Raises TM_POSTGRES_*. */
export const createTour = async (db: Db, agentId: string, plan: PlannedTour, { syncs }: Synced): Promise<Tour> => {
  const { rows } = await db.query<Row>(
    `insert into public.tours (agent_id, start_time, end_time, time_zone, status, route_data, crm_sync_status)
       values ($1, $2, $3, $4, 'scheduled', $5::jsonb, $6) returning *`,
    [agentId, plan.start, plan.end, plan.timeZone, JSON.stringify(plan.routeData), syncs ? 'pending' : 'not_synced'],
  )
  const tour = shownTour(rows[0]!)
  await insertVisits(db, tour.id, plan.visits)
  return tour
}
