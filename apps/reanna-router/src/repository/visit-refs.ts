/** The visits that a CRM knows by ids of its own. */
import type { CrmRef } from '../calls/crm.js'
import type { VisitStatus } from '../day/states.js'
import type { Db } from '../rows.js'
import { rowsOf, tables } from '../tables.js'

export interface FoundVisit {
  readonly visit_id: string
  readonly status: VisitStatus
  readonly scheduled_arrival: Date
}

/** The earliest first. */
export const visitsOfRef = (
  db: Db,
  { provider, tenant, externalId }: CrmRef,
  type: 'appointment' | 'contact',
): Promise<readonly FoundVisit[]> =>
  rowsOf(
    db,
    tables
      .selectFrom('reanna.visit_refs as r')
      .innerJoin('property_visits as v', 'v.id', 'r.visit_id')
      .select(['r.visit_id', 'v.status', 'v.scheduled_arrival'])
      .where('r.provider', '=', provider)
      .where('r.tenant', '=', tenant)
      .where('r.entity_type', '=', type)
      .where('r.external_id', '=', externalId)
      .orderBy('v.scheduled_arrival')
      .orderBy('v.id'),
  )
