import type { PlannedTour } from '../planning.js'
import { type Db, shownTour, type Tour } from '../rows.js'
import { firstOf, tables, tourColumns } from '../tables.js'
import type { Synced } from './tours.js'
import { insertVisits } from './visits.js'

/** The tour, its visits, and a task for each. Raises TM_POSTGRES_*. */
export const createTour = async (db: Db, agentId: string, plan: PlannedTour, { syncs }: Synced): Promise<Tour> => {
  const values = {
    agent_id: agentId,
    start_time: plan.start,
    end_time: plan.end,
    time_zone: plan.timeZone,
    status: 'scheduled',
    route_data: JSON.stringify(plan.routeData),
    crm_sync_status: syncs ? 'pending' : 'not_synced',
  } as const
  const made = await firstOf(db, tables.insertInto('tours').values(values).returning(tourColumns))
  const tour = shownTour(made!)
  await insertVisits(db, tour.id, plan.visits)
  return tour
}
