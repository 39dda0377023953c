/** Contacts of the CRMs. */
import type { CrmContact, CrmRef } from '../calls/crm.js'
import type { Db } from '../rows.js'

/** An older word never stands in for a newer one; what is not said stays as it was. */
export const keepLead = async (db: Db, { provider, tenant, externalId }: CrmRef, lead: CrmContact, asOf: Date): Promise<void> => {
  await db.query(
    `insert into public.leads as l (provider, tenant, external_id, first_name, last_name, email, phone, source, agent_id, as_of)
       values ($1, $2, $3, $4, $5, lower($6), $7, $8, $9, $10)
     on conflict (provider, tenant, external_id) do update
       set first_name = coalesce(excluded.first_name, l.first_name), last_name = coalesce(excluded.last_name, l.last_name),
           email = coalesce(excluded.email, l.email), phone = coalesce(excluded.phone, l.phone),
           source = coalesce(excluded.source, l.source), agent_id = coalesce(excluded.agent_id, l.agent_id),
           as_of = excluded.as_of, deleted_at = null
       where excluded.as_of >= l.as_of`,
    [
      provider,
      tenant,
      externalId,
      lead.firstName ?? null,
      lead.lastName ?? null,
      lead.email ?? null,
      lead.phone ?? null,
      lead.source ?? null,
      lead.assignedTo ?? null,
      asOf,
    ],
  )
}

/** It is marked, so that what is told late of it does not bring it back. */
export const dropLead = async (db: Db, { provider, tenant, externalId }: CrmRef, asOf: Date): Promise<void> => {
  await db.query(
    `insert into public.leads as l (provider, tenant, external_id, as_of, deleted_at) values ($1, $2, $3, $4, $4)
     on conflict (provider, tenant, external_id) do update
       set deleted_at = excluded.deleted_at, as_of = excluded.as_of,
           first_name = null, last_name = null, email = null, phone = null
       where excluded.as_of >= l.as_of`,
    [provider, tenant, externalId, asOf],
  )
}
