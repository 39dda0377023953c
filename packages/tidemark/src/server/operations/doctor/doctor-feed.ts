import type { SchemaClient } from '../../../schema/schema.js'
import { type Finding, ok, warn } from './finding.js'

interface SlotFacts {
  readonly max_slots: number
  readonly slots: number
  readonly max_senders: number
  readonly senders: number
  /** Of ours, those that can never be read again. */
  readonly lost: readonly string[]
  /** Anybody's that nobody reads and that hold back more than a gibibyte. */
  readonly idle: readonly string[]
}

const slotSql = `
  select current_setting('max_replication_slots')::int as max_slots,
         (select count(*)::int from pg_replication_slots) as slots,
         current_setting('max_wal_senders')::int as max_senders,
         (select count(*)::int from pg_stat_activity where backend_type = 'walsender') as senders,
         array(select slot_name::text from pg_replication_slots
                where wal_status = 'lost' and starts_with(slot_name, 'tidemark_') order by 1) as lost,
         array(select slot_name::text from pg_replication_slots
                where not active and wal_status <> 'lost' and not pg_is_in_recovery()
                  and pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) > 1024 ^ 3 order by 1) as idle`

/** What a new node takes: one that reads, and one beside it while Redis is away. */
const slotsOfANode = 2

const checkSlots = (facts: SlotFacts): readonly Finding[] => {
  const { max_slots, slots, max_senders, senders, lost, idle } = facts
  const room = Math.min(max_slots - slots, max_senders - senders)
  const used = `${slots} of ${max_slots} slots and ${senders} of ${max_senders} senders are used`
  const findings = [
    room >= slotsOfANode
      ? ok('feed slots', used)
      : warn(
          'feed slots',
          used,
          'Raise max_replication_slots and max_wal_senders, or drop slots that nobody needs; then restart Postgres.',
        ),
  ]
  if (lost.length > 0) {
    findings.push(
      warn(
        'feed slots lost',
        `Postgres has given up ${lost.join(', ')}`,
        'The feed begins anew by itself where it still reads one. Drop the others: `tidemark feed slots --drop <name>`; look why they lagged.',
      ),
    )
  }
  if (idle.length > 0) {
    findings.push(
      warn(
        'feed slots idle',
        `nobody reads ${idle.join(', ')}, and each holds back more than 1 GiB of the write-ahead log`,
        'Start what reads them, or drop them; else they fill the disk, or are given up at max_slot_wal_keep_size.',
      ),
    )
  }
  return findings
}

// A published table whose rows cannot be told apart: Postgres refuses updates and deletes of it.
const identitySql = `
  select distinct format('%s.%s', n.nspname, c.relname) as table
    from pg_publication_rel p join pg_class c on c.oid = p.prrelid join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r'
     and (c.relreplident = 'n'
       or c.relreplident = 'd' and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
       or c.relreplident = 'i' and not exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident and i.indisvalid))
   order by 1`

const named = (tables: readonly string[]): string => `${tables.slice(0, 3).join(', ')}${tables.length > 3 ? ' …' : ''}`

const checkIdentities = (tables: readonly string[]): readonly Finding[] =>
  tables.length === 0
    ? []
    : [
        warn(
          'replica identity',
          `published without a key or identity: ${named(tables)}`,
          'Their updates and deletes fail. Give each a primary key, or: alter table … replica identity full.',
        ),
      ]

/** What the feed needs of a Postgres with `wal_level = logical`, besides that. */
export const checkFeed = async (client: Pick<SchemaClient, 'query'>): Promise<readonly Finding[]> => {
  const slots = await client.query<SlotFacts>(slotSql)
  const identities = await client.query<{ readonly table: string }>(identitySql)
  return [...checkSlots(slots.rows[0]!), ...checkIdentities(identities.rows.map(({ table }) => table))]
}
