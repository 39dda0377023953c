import type { Relation } from './feed.js'
import type { Asker } from './slots.js'
import { quoteTable, type TableId } from './table-id.js'

/** Which old values the log keeps of a table's updated and deleted rows (FEED-5). */
export interface ReplicaIdentity extends TableId {
  readonly identity: Relation['identity']
  /** The columns that it holds; empty for none, undefined for all. */
  readonly columns: readonly string[] | undefined
  /** A partitioned table has no rows of its own: the identities of its partitions count. */
  readonly partitioned: boolean
  /** Whether the table can be published without harm to its writers. */
  readonly usable: boolean
}

const identitySql = `
  with recursive family (oid) as (
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
    union all
    select i.inhrelid from pg_inherits i join family f on f.oid = i.inhparent join pg_class p on p.oid = f.oid where p.relkind = 'p'
  )
  select n.nspname as schema, c.relname as table,
         c.relkind = 'p' as partitioned,
         case c.relreplident when 'd' then 'default' when 'n' then 'nothing' when 'f' then 'full' else 'index' end as identity,
         (select array_agg(a.attname::text order by a.attnum) from pg_index i
            join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
           where i.indrelid = c.oid and i.indisvalid and i.indimmediate
             and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end) as columns
    from family f join pg_class c on c.oid = f.oid join pg_namespace n on n.oid = c.relnamespace
   order by 1, 2`

interface IdentityRow extends TableId {
  readonly partitioned: boolean
  readonly identity: Relation['identity']
  readonly columns: readonly string[] | null
}

/** The identity of a table; of a partitioned one, also that of each partition. Empty where there is no such table. */
export const readIdentities = async (client: Asker, { schema, table }: TableId): Promise<ReplicaIdentity[]> => {
  const { rows } = await client.query<IdentityRow>(identitySql, [schema, table])
  return rows.map(({ columns, ...row }) => ({
    ...row,
    columns: row.identity === 'full' ? undefined : (columns ?? []),
    usable: row.partitioned || row.identity === 'full' || columns !== null,
  }))
}

/** Sets it. Takes a short ACCESS EXCLUSIVE lock; the role owns the table. */
export const setReplicaIdentity = async (client: Asker, table: TableId, identity: 'default' | 'full'): Promise<void> => {
  await client.query(`alter table ${quoteTable(table)} replica identity ${identity}`)
}
