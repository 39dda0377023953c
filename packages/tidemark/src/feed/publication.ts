import { TidemarkError } from '../errors.js'
import { quoteIdentifier } from '../schema/sql-errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { readIdentities, setReplicaIdentity } from './replica-identity.js'
import type { Asker } from './slots.js'
import { quoteTable, type TableId } from './table-id.js'

export interface PublicationOptions {
  readonly name: string
  /** Exactly the tables that it is to hold, besides those of `alongside`. */
  readonly tables: readonly TableId[]
  /**
   * Another publication, which is the application's: its tables are to be held as well, those apart that cannot be. What they change to is seen
   * at the next call, see {@link addToPublication}.
   */
  readonly alongside?: string | undefined
  /** What happens to a table without a key or identity: it gets REPLICA IDENTITY FULL (default), or TM_FEED_IDENTITY is raised. */
  readonly missingIdentity?: 'full' | 'refuse'
  /** How long to wait for transactions that wrote before a table was added: their earlier changes are not in the feed. Default 10,000. */
  readonly settleTimeoutMs?: number
  readonly clock?: Clock
}

export interface PublicationChanges {
  readonly created: boolean
  readonly added: readonly TableId[]
  readonly removed: readonly TableId[]
  /** Tables (of partitioned ones, their partitions) that were set to REPLICA IDENTITY FULL. */
  readonly identified: readonly TableId[]
  /** False where a transaction that began before a table was added is still open: it may be given in part. */
  readonly settled: boolean
}

const key = ({ schema, table }: TableId): string => JSON.stringify([schema, table])

interface Found {
  readonly all: boolean
  readonly root: boolean
  readonly complete: boolean
  readonly tables: readonly TableId[]
}

const findPublication = async (client: Asker, name: string): Promise<Found | undefined> => {
  const { rows } = await client.query<Found>(
    `select puballtables as "all", pubviaroot as root, pubinsert and pubupdate and pubdelete and pubtruncate as complete,
            coalesce((select jsonb_agg(jsonb_build_object('schema', n.nspname, 'table', c.relname))
                        from pg_publication_rel r join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
                       where r.prpubid = p.oid), '[]') as tables
       from pg_publication p where pubname = $1`,
    [name],
  )
  return rows[0]
}

const refusedTable = (table: TableId, reason: string, cause?: unknown): TidemarkError<'TM_FEED_TABLE'> =>
  new TidemarkError('TM_FEED_TABLE', { table: quoteTable(table), reason }, { cause })

const membersSql = `
  select n.nspname as schema, c.relname as "table"
    from pg_publication_rel r join pg_publication p on p.oid = r.prpubid join pg_class c on c.oid = r.prrelid
         join pg_namespace n on n.oid = c.relnamespace
   where p.pubname = $1
  union
  select n.nspname, c.relname
    from pg_publication p join pg_class c on c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence = 'p'
         join pg_namespace n on n.oid = c.relnamespace
   where p.pubname = $1
     and (p.puballtables or exists (select from pg_publication_namespace s where s.pnpubid = p.oid and s.pnnspid = n.oid))
     and n.nspname not in ('tidemark', 'realtime', 'auth', 'storage', 'vault', 'extensions', 'supabase_migrations', 'pgmq', 'cron', 'net',
                           'information_schema')
     and n.nspname not like 'pg\\_%'
   order by 1, 2`

/**
 * The tables of a publication; none where there is no such publication. One that takes all tables, or those of a schema, stands for the
 * application's own ones.
 */
export const publicationMembers = async (
  client: { query<R extends object>(text: string, values: unknown[]): Promise<{ readonly rows: R[] }> },
  name: string,
): Promise<TableId[]> => (await client.query<TableId>(membersSql, [name])).rows

/** The application's own UPDATE would fail on a published table that has no identity, so that comes first (rule of the feed). */
const identify = async (client: Asker, tables: readonly TableId[], missing: 'full' | 'refuse'): Promise<TableId[]> => {
  const identified: TableId[] = []
  for (const table of tables) {
    const identities = await readIdentities(client, table)
    if (identities.length === 0) throw refusedTable(table, 'there is no such table')
    for (const found of identities.filter(({ usable }) => !usable)) {
      if (missing === 'refuse') throw new TidemarkError('TM_FEED_IDENTITY', { table: quoteTable(found) })
      await setReplicaIdentity(client, found, 'full')
      identified.push({ schema: found.schema, table: found.table })
    }
  }
  return identified
}

const add = async (client: Asker, publication: string, table: TableId): Promise<void> => {
  await client
    .query(`alter publication ${quoteIdentifier(publication)} add table ${quoteTable(table)}`)
    .catch((error: { code?: string; message: string; detail?: string }) => {
      // Views, foreign, temporary and unlogged tables cannot be published.
      if (error.code === '22023') throw refusedTable(table, error.detail ?? error.message, error)
      throw error
    })
}

const options = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true`

/** With one lock per name: two nodes that start together make one publication. */
const change = async (client: Asker, wanted: PublicationOptions): Promise<Omit<PublicationChanges, 'settled'>> => {
  const { name, missingIdentity = 'full', alongside } = wanted
  await client.query(`select pg_advisory_xact_lock(hashtextextended('tidemark publication ' || $1, 0))`, [name])
  const found = await findPublication(client, name)
  if (found?.all) throw new TidemarkError('TM_FEED_PUBLICATION', { publication: name, reason: 'it is FOR ALL TABLES' })
  const identifier = quoteIdentifier(name)
  if (found === undefined) await client.query(`create publication ${identifier} with (${options})`)
  else if (!found.root || !found.complete) await client.query(`alter publication ${identifier} set (${options})`)
  const also = alongside === undefined ? [] : await publicationMembers(client, alongside)
  const [has, kept] = [new Set(found?.tables.map(key)), new Set(also.map(key))]
  // What is held already is followed for sure; others are added one by one, see `ensurePublication`.
  const tables = [...wanted.tables, ...also.filter((table) => has.has(key(table)))]
  const wants = new Set([...tables.map(key), ...kept])
  const added = tables.filter(
    (table, index) => !has.has(key(table)) && tables.findIndex((other) => key(other) === key(table)) === index,
  )
  const removed = (found?.tables ?? []).filter((table) => !wants.has(key(table)))
  // Also those that are in it already: their key may have been dropped since.
  const identified = await identify(client, wanted.tables, missingIdentity)
  for (const table of removed) await client.query(`alter publication ${identifier} drop table ${quoteTable(table)}`)
  for (const table of added) await add(client, name, table)
  return { created: found === undefined, added, removed, identified }
}

const writersSql = `
  select distinct l.virtualtransaction as writer
    from pg_locks l
   where l.database = (select oid from pg_database where datname = current_database()) and l.mode = 'RowExclusiveLock' and l.granted
     and l.relation in (select t.relid from unnest($1::regclass[]) r, lateral pg_partition_tree(r) t union select unnest($1::regclass[]))`

/** Waits until every transaction has ended that may have written to a table before that was published. */
const settle = async (client: Asker, tables: readonly TableId[], timeoutMs: number, clock: Clock): Promise<boolean> => {
  const deadline = clock.monotonicMs() + timeoutMs
  const writers = async () =>
    (await client.query<{ writer: string }>(writersSql, [tables.map(quoteTable)])).rows.map(({ writer }) => writer)
  const before = new Set(await writers())
  while ((await writers()).some((writer) => before.has(writer))) {
    if (clock.monotonicMs() >= deadline) return false
    await clock.sleep(20)
  }
  return true
}

/** Adds tables, each in a transaction of its own: one that cannot be published leaves the others alone. Gives those that were not in it. */
const addAll = async (
  client: Asker,
  { name, missingIdentity = 'full' }: PublicationOptions,
  tables: readonly TableId[],
  refused: (table: TableId, error: unknown) => void = () => {},
): Promise<TableId[]> => {
  const found = await findPublication(client, name)
  if (!found || found.all)
    throw new TidemarkError('TM_FEED_PUBLICATION', { publication: name, reason: 'there is none that lists its tables' })
  const has = new Set(found.tables.map(key))
  const added: TableId[] = []
  for (const table of tables.filter((one) => !has.has(key(one)))) {
    await client.query('begin')
    try {
      await client.query(`select pg_advisory_xact_lock(hashtextextended('tidemark publication ' || $1, 0))`, [name])
      await identify(client, [table], missingIdentity)
      if (!(await isIn(client, name, table))) await add(client, name, table)
      await client.query('commit')
      added.push(table)
    } catch (error) {
      await client.query('rollback')
      refused(table, error)
    }
  }
  return added
}

const isIn = async (client: Asker, name: string, table: TableId): Promise<boolean> =>
  (await findPublication(client, name))?.tables.some((one) => key(one) === key(table)) ?? false

/**
 * Adds tables to the publication of a feed that runs: it gives what is changed from now on. Waits for transactions that wrote to them before.
 * Gives the tables that were not in it; `refused` is told of those that cannot be. Raises TM_FEED_PUBLICATION where there is none yet.
 */
export const addToPublication = async (
  client: Asker,
  options: PublicationOptions,
  refused: (table: TableId, error: unknown) => void,
): Promise<readonly TableId[]> => {
  const { clock = systemClock, settleTimeoutMs = 10_000 } = options
  const added = await addAll(client, options, options.tables, refused)
  if (added.length > 0) await settle(client, added, settleTimeoutMs, clock)
  return added
}

/**
 * Makes the publication hold exactly these tables, each with a replica identity, in one transaction of the client (which has none open). The
 * role owns the tables and may create in the database. Partitions are published under the name of their root. Raises TM_FEED_PUBLICATION,
 * TM_FEED_TABLE, TM_FEED_IDENTITY, and what the driver raises.
 */
export const ensurePublication = async (client: Asker, wanted: PublicationOptions): Promise<PublicationChanges> => {
  const { clock = systemClock, settleTimeoutMs = 10_000 } = wanted
  await client.query('begin')
  try {
    const changes = await change(client, wanted)
    await client.query('commit')
    const more =
      wanted.alongside === undefined ? [] : await addAll(client, wanted, await publicationMembers(client, wanted.alongside))
    const added = [...changes.added, ...more]
    // A slot that is made after the publication waits for them by itself.
    const mayMiss = !changes.created && added.length > 0
    return { ...changes, added, settled: mayMiss ? await settle(client, added, settleTimeoutMs, clock) : true }
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

/** Removes the publication; false where there was none. Replica identities stay as they are. */
export const dropPublication = async (client: Asker, name: string): Promise<boolean> => {
  if ((await findPublication(client, name)) === undefined) return false
  await client.query(`drop publication if exists ${quoteIdentifier(name)}`)
  return true
}
