/** The visits that a CRM knows by ids of its own. */
import type { CrmRef } from '../calls/crm.js'
import type { Db } from '../rows.js'

export interface FoundVisit {
  readonly visit_id: string
  readonly status: string
  readonly scheduled_arrival: Date
}

/** The earliest first. */
export const visitsOfRef = async (
  db: Db,
  { provider, tenant, externalId }: CrmRef,
  type: 'appointment' | 'contact',
): Promise<readonly FoundVisit[]> => {
  const { rows } = await db.query<FoundVisit>(
    `select r.visit_id, v.status, v.scheduled_arrival
       from reanna.visit_refs r join public.property_visits v on v.id = r.visit_id
      where r.provider = $1 and r.tenant = $2 and r.entity_type = $3 and r.external_id = $4
      order by v.scheduled_arrival, v.id`,
    [provider, tenant, type, externalId],
  )
  return rows
}
