import { TidemarkError } from '../../../errors.js'
import { sqlstateOf } from '../../../postgres/postgres-error.js'
import { quoteIdentifier } from '../../../schema/sql-errors.js'
import { quoteTable, type TableId } from '../../table-id.js'

/** Whatever carries statements on one connection: a node-postgres client, or one of ours. */
export interface OutboxClient {
  query<R extends object>(text: string, values?: unknown[]): Promise<{ readonly rows: R[] }>
}

export interface InstallOutboxOptions {
  /** Tell listeners of each transaction. NOTIFY makes commits of one database wait for each other shortly. Default true. */
  readonly notify?: boolean
  /** Installing waits so long for writers of a table to end, and makes new ones wait as well. Default 2,000. */
  readonly lockTimeoutMs?: number
}

export interface OutboxTable extends TableId {
  /** False where the triggers do not fire under session_replication_role = replica, since only the owner of a table can have that. */
  readonly always: boolean
}

/** Fire before all others: of row triggers the order of names decides, those of foreign keys included. */
const triggers = {
  statement: '0_tidemark_outbox_statement',
  row: '0_tidemark_outbox_row',
  truncate: '0_tidemark_outbox_truncate',
} as const

interface Found {
  readonly schema: string
  readonly table: string
  readonly kind: string
  readonly partition: boolean
  readonly temporary: boolean
  /** Partitions that are tables themselves. */
  readonly leaves: readonly string[]
}

const findSql = `
  select n.nspname as schema, c.relname as "table", c.relkind::text as kind, c.relispartition as partition, c.relpersistence = 't' as temporary,
         array(select format('%I.%I', ln.nspname, l.relname) from pg_partition_tree(c.oid) p join pg_class l on l.oid = p.relid
                 join pg_namespace ln on ln.oid = l.relnamespace where l.oid <> c.oid) as leaves
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = $1 and c.relname = $2`

const find = async (client: OutboxClient, { schema, table }: TableId): Promise<Found> => {
  const { rows } = await client.query<Found>(findSql, [schema, table])
  const [found] = rows
  const refuse = (reason: string) => new TidemarkError('TM_FEED_TABLE', { table: `${schema}.${table}`, reason })
  if (!found) throw refuse('it does not exist')
  if (found.kind !== 'r' && found.kind !== 'p') throw refuse('it is no table')
  if (found.temporary) throw refuse('it is temporary')
  if (found.partition) throw refuse('it is a partition; follow the table that it is part of')
  return found
}

const trigger = (name: string, when: string, table: string, level: string, call: string): string =>
  `create or replace trigger ${quoteIdentifier(name)} ${when} on ${table} for each ${level} execute function tidemark.feed_outbox_${call}`

const createSql = (table: string, leaves: readonly string[], notify: boolean): string => {
  const argument = notify ? "'notify'" : "'silent'"
  return [
    trigger(triggers.row, 'after insert or update or delete', table, 'row', 'row()'),
    // Statements may name a partition itself; row triggers are there already, those of statements are not inherited.
    ...[table, ...leaves].flatMap((one) => [
      trigger(triggers.statement, 'before insert or update or delete', one, 'statement', `statement(${argument})`),
      trigger(triggers.truncate, 'after truncate', one, 'statement', `truncate(${argument})`),
    ]),
  ].join(';\n')
}

const inTransaction = async <T>(client: OutboxClient, lockTimeoutMs: number, work: () => Promise<T>): Promise<T> => {
  await client.query('begin')
  try {
    await client.query(`set local lock_timeout = ${Math.ceil(lockTimeoutMs)}`)
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

/** Writes of roles that replicate or restore are changes like any other. */
const fireAlways = async (client: OutboxClient, table: string, leaves: readonly string[]): Promise<boolean> => {
  const sql = [
    `alter table ${table} enable always trigger ${quoteIdentifier(triggers.row)}`,
    ...[table, ...leaves].flatMap((one) =>
      [triggers.statement, triggers.truncate].map((name) => `alter table ${one} enable always trigger ${quoteIdentifier(name)}`),
    ),
  ].join(';\n')
  await client.query('savepoint always')
  try {
    await client.query(sql)
    return true
  } catch (error) {
    if (sqlstateOf(error) !== '42501') throw error
    await client.query('rollback to savepoint always')
    return false
  }
}

/**
 * Makes every change of the tables go into the outbox, whoever makes it. Each table in a transaction of its own, holding writers back for a
 * moment; repeating it changes nothing. The client must not be in a transaction, and act as the owner of the tables (or with TRIGGER on them)
 * and as a role that may use the triggers' functions (the migrator does). Raises TM_FEED_TABLE, and what the driver raises.
 */
export const installOutbox = async (
  client: OutboxClient,
  tables: readonly TableId[],
  { notify = true, lockTimeoutMs = 2_000 }: InstallOutboxOptions = {},
): Promise<readonly OutboxTable[]> => {
  const installed: OutboxTable[] = []
  for (const { schema, table } of tables) {
    const { leaves } = await find(client, { schema, table })
    const name = quoteTable({ schema, table })
    const always = await inTransaction(client, lockTimeoutMs, async () => {
      await client.query(createSql(name, leaves, notify))
      return fireAlways(client, name, leaves)
    })
    installed.push({ schema, table, always })
  }
  return installed
}

/**
 * Of tables by their oids, the names (`schema.table`) of those whose changes are not caught any more, or under another name. `wanted` is an SQL
 * condition: whether one that was taken out, or is gone, counts as well.
 */
export const lostTablesSql = (oids: string, names: string, wanted: string): string => `
  array(select w.name
          from unnest(${oids}::oid[], ${names}::text[]) as w (oid, name)
          left join pg_class c on c.oid = w.oid
          left join pg_namespace n on n.oid = c.relnamespace
          left join pg_trigger t on t.tgrelid = w.oid and t.tgname = '${triggers.row}'
         where (t.tgenabled = 'D' or (t.oid is null or n.nspname || '.' || c.relname <> w.name) and
                (${wanted} or exists (select from pg_class o join pg_namespace s on s.oid = o.relnamespace
                                       where s.nspname || '.' || o.relname = w.name and o.oid <> w.oid))))`

/** The tables that the outbox is installed on, by name. */
export const outboxTables = async (client: OutboxClient): Promise<readonly (TableId & { readonly oid: number })[]> => {
  const { rows } = await client.query<TableId & { oid: number }>(
    `select n.nspname as schema, c.relname as "table", c.oid::int8::float8 as oid
       from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
      where t.tgname = $1 and t.tgparentid = 0 and t.tgenabled <> 'D' and t.tgfoid = to_regproc('tidemark.feed_outbox_row')
      order by 1, 2`,
    [triggers.row],
  )
  return rows
}

const removeFrom = async (client: OutboxClient, one: TableId, lockTimeoutMs: number): Promise<void> => {
  const { rows } = await client.query<Found>(findSql, [one.schema, one.table])
  if (!rows[0]) return
  const drop = (name: string, table: string) => `drop trigger if exists ${quoteIdentifier(name)} on ${table}`
  const names = [quoteTable(one), ...rows[0].leaves]
  const sql = [
    drop(triggers.row, quoteTable(one)),
    ...names.flatMap((name) => [drop(triggers.statement, name), drop(triggers.truncate, name)]),
  ].join(';\n')
  await inTransaction(client, lockTimeoutMs, () => client.query(sql))
}

/**
 * Takes the triggers away from the tables; from `all`, what was not read yet and the readers go as well. Changes already caught of single
 * tables are still given. Raises what the driver raises.
 */
export const removeOutbox = async (
  client: OutboxClient,
  tables: readonly TableId[] | 'all',
  { lockTimeoutMs = 2_000 }: Pick<InstallOutboxOptions, 'lockTimeoutMs'> = {},
): Promise<void> => {
  for (const one of tables === 'all' ? await outboxTables(client) : tables) await removeFrom(client, one, lockTimeoutMs)
  if (tables !== 'all') return
  await inTransaction(client, lockTimeoutMs, async () => {
    await client.query('delete from tidemark.feed_outbox_readers')
    await client.query('delete from tidemark.feed_outbox_shapes')
    await client.query('delete from tidemark.feed_outbox')
  })
}

/** Forgets a reader that will not come back: what is kept for it alone can go. */
export const removeOutboxReader = async (client: OutboxClient, name: string): Promise<void> => {
  await client.query('delete from tidemark.feed_outbox_readers where name = $1', [name])
}
