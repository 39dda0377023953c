/** Contacts of the CRMs. */
import { sql } from 'kysely'
import type { CrmContact, CrmRef } from '../calls/crm.js'
import type { Db } from '../rows.js'
import { rowsOf, tables } from '../tables.js'

/** What is said, else what was known. */
const said = (column: 'first_name' | 'last_name' | 'email' | 'phone' | 'source' | 'agent_id') =>
  sql<string | null>`coalesce(${sql.ref(`excluded.${column}`)}, ${sql.ref(`leads.${column}`)})`

const once = ['provider', 'tenant', 'external_id'] as const

/** An older word never stands in for a newer one; what is not said stays as it was. */
export const keepLead = async (db: Db, { provider, tenant, externalId }: CrmRef, lead: CrmContact, asOf: Date): Promise<void> => {
  const keep = tables
    .insertInto('leads')
    .values({
      provider,
      tenant,
      external_id: externalId,
      first_name: lead.firstName ?? null,
      last_name: lead.lastName ?? null,
      email: sql<string | null>`lower(${lead.email ?? null})`,
      phone: lead.phone ?? null,
      source: lead.source ?? null,
      agent_id: lead.assignedTo ?? null,
      as_of: asOf,
    })
    .onConflict((conflict) =>
      conflict
        .columns(once)
        .doUpdateSet(({ ref }) => ({
          first_name: said('first_name'),
          last_name: said('last_name'),
          email: said('email'),
          phone: said('phone'),
          source: said('source'),
          agent_id: said('agent_id'),
          as_of: ref('excluded.as_of'),
          deleted_at: null,
        }))
        .whereRef('excluded.as_of', '>=', 'leads.as_of'),
    )
  await rowsOf(db, keep)
}

/** It is marked, so that what is told late of it does not bring it back. */
export const dropLead = async (db: Db, { provider, tenant, externalId }: CrmRef, asOf: Date): Promise<void> => {
  const drop = tables
    .insertInto('leads')
    .values({ provider, tenant, external_id: externalId, as_of: asOf, deleted_at: asOf })
    .onConflict((conflict) =>
      conflict
        .columns(once)
        .doUpdateSet(({ ref }) => ({
          deleted_at: ref('excluded.deleted_at'),
          as_of: ref('excluded.as_of'),
          first_name: null,
          last_name: null,
          email: null,
          phone: null,
        }))
        .whereRef('excluded.as_of', '>=', 'leads.as_of'),
    )
  await rowsOf(db, drop)
}
