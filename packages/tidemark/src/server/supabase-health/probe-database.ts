import type { Pool } from '../../postgres/postgres.js'
import { accessibleOf, type HealthTable, type Probe } from './health-tables.js'

interface Found {
  readonly relation: string | null
  readonly readable: boolean
}

// In the order asked. The names for the next statement are the catalogue's own.
const findSql = `
  select case when c.oid is null then null else format('%I.%I', n.nspname, c.relname) end as relation,
         coalesce((select has_table_privilege(r.oid, c.oid, 'SELECT') and has_schema_privilege(r.oid, n.oid, 'USAGE')
                     from pg_roles r where r.rolname = 'service_role'), false) as readable
    from unnest($1::text[], $2::text[]) with ordinality as asked(schema, name, place)
    left join pg_namespace n on n.nspname = asked.schema
    left join pg_class c on c.relnamespace = n.oid and c.relname = asked.name and c.relkind in ('r', 'p', 'v', 'm', 'f')
   order by asked.place`

/** Accessible: there, readable for service_role, and read by the server just now. */
export const probeDatabase = async (pool: Pool, tables: readonly HealthTable[], signal: AbortSignal): Promise<Probe> => {
  const options = { signal, idempotent: true } as const
  const read = async ({ relation, readable }: Found): Promise<boolean> => {
    if (relation === null || !readable) return false
    return pool.query(`select from ${relation} limit 0`, [], options).then(
      () => true,
      () => false,
    )
  }
  try {
    const names = [tables.map(({ schema }) => schema), tables.map(({ table }) => table)]
    const { rows } = await pool.query<Found>(findSql, names, options)
    return { reachable: true, accessible: accessibleOf(tables, await Promise.all(rows.map(read))) }
  } catch {
    return { reachable: false, accessible: accessibleOf(tables, []) }
  }
}
