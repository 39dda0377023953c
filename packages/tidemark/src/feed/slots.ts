import type pg from 'pg'
import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { until } from '../time/until.js'
import { parseLsn } from './position.js'

/** What the functions here run their statements through. */
export type Asker = Pick<pg.ClientBase, 'query'>

/** A replication slot as the server describes it. */
export interface Slot {
  readonly name: string
  readonly database: string | null
  readonly plugin: string | null
  readonly temporary: boolean
  /** The server process that serves whoever reads it; null while nobody does. */
  readonly activePid: number | null
  /** `reserved` and `extended` are well, `unreserved` is in danger, `lost` is over. */
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost' | null
  /** Why it can never be read again; null while it can. */
  readonly invalidated: string | null
  /** The oldest WAL that is kept for it. */
  readonly restartLsn: bigint | null
  /** What its reader has confirmed. */
  readonly confirmedLsn: bigint | null
  /** Bytes of WAL that are kept for it. */
  readonly behindBytes: number
  /** Bytes that may be written before it is given up; null where `max_slot_wal_keep_size` sets no bound. */
  readonly headroomBytes: number | null
}

const nameForm = /^[a-z0-9_]{1,40}$/

/** The slot of a name in a database. Slot names are shared by the whole cluster, so the database's id is part of it. */
export const slotName = (databaseOid: number, name: string): string => {
  if (!nameForm.test(name)) throw new TidemarkError('TM_FEED_SLOT_NAME', { name })
  return `tidemark_${databaseOid}_${name}`
}

/** The database of a client. */
export const databaseOid = async (client: Asker): Promise<number> => {
  const { rows } = await client.query<{ oid: number }>(
    'select oid::int8::float8 as oid from pg_database where datname = current_database()',
  )
  return rows[0]!.oid
}

interface SlotRow {
  readonly slot_name: string
  readonly database: string | null
  readonly plugin: string | null
  readonly temporary: boolean
  readonly active_pid: number | null
  readonly wal_status: Slot['walStatus']
  readonly invalidated: string | null
  readonly restart_lsn: string | null
  readonly confirmed_flush_lsn: string | null
  readonly behind: string | null
  readonly safe_wal_size: string | null
}

// Why a slot was given up has a column since Postgres 17; before, only its state tells that it was.
const slotsSql = `
  select slot_name, database, plugin, temporary, active_pid, wal_status, restart_lsn, confirmed_flush_lsn, safe_wal_size::text,
         coalesce(to_jsonb(s) ->> 'invalidation_reason', case when wal_status = 'lost' then 'wal_removed' end,
                  case when (to_jsonb(s) ->> 'conflicting')::boolean then 'conflicting' end) as invalidated,
         pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn)::text as behind
    from pg_replication_slots s`

const lsnOf = (text: string | null): bigint | null => (text === null ? null : parseLsn(text))

const slotOf = (row: SlotRow): Slot => ({
  name: row.slot_name,
  database: row.database,
  plugin: row.plugin,
  temporary: row.temporary,
  activePid: row.active_pid,
  walStatus: row.wal_status,
  invalidated: row.invalidated,
  restartLsn: lsnOf(row.restart_lsn),
  confirmedLsn: lsnOf(row.confirmed_flush_lsn),
  behindBytes: Math.max(0, Number(row.behind ?? 0)),
  headroomBytes: row.safe_wal_size === null ? null : Number(row.safe_wal_size),
})

/** The feed's slots in the client's database; every slot of the server where `all` is set. */
export const listSlots = async (client: Asker, { all = false }: { readonly all?: boolean } = {}): Promise<Slot[]> => {
  const { rows } = await client.query<SlotRow>(
    `${slotsSql} where $1 or (database = current_database() and starts_with(slot_name, 'tidemark_')) order by slot_name`,
    [all],
  )
  return rows.map(slotOf)
}

/** The slot of this full name, or undefined. */
export const readSlot = async (client: Asker, name: string): Promise<Slot | undefined> => {
  const { rows } = await client.query<SlotRow>(`${slotsSql} where slot_name = $1`, [name])
  return rows[0] && slotOf(rows[0])
}

/**
 * Removes a slot with what is noted about it; false where there was none. What it held back can never be read again.
 * Raises TM_FEED_SLOT_BUSY while it is read.
 */
export const dropSlot = async (client: Asker, name: string): Promise<boolean> => {
  const slot = await readSlot(client, name)
  if (slot?.activePid != null) throw new TidemarkError('TM_FEED_SLOT_BUSY', { slot: name, pid: slot.activePid })
  if (slot) await client.query('select pg_drop_replication_slot($1)', [name])
  await client.query('delete from tidemark.feed_slots where slot_name = $1', [name])
  return slot !== undefined
}

export interface TakeOverOptions {
  /** How long its reader may take to end. Default 5,000. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

/**
 * Ends whoever reads the slot, so that the caller can: for a reader that is frozen or lost. Gives the server process that was ended, or null.
 * One that is alive learns of it by TM_FEED_SLOT_BUSY once the slot is read again. Raises TM_FEED_SLOT_MISSING, and TM_FEED_SLOT_BUSY where
 * the process does not end.
 */
export const takeOverSlot = async (
  client: Asker,
  name: string,
  { timeoutMs = 5_000, clock = systemClock }: TakeOverOptions = {},
): Promise<number | null> => {
  const slot = await readSlot(client, name)
  if (slot === undefined) throw new TidemarkError('TM_FEED_SLOT_MISSING', { slot: name })
  const pid = slot.activePid
  if (pid === null) return null
  await client.query('select pg_terminate_backend($1)', [pid])
  const free = async () => (await readSlot(client, name))?.activePid !== pid
  await until(free, { timeoutMs, clock, intervalMs: 5, what: `The release of the slot ${name}` }).catch((cause: unknown) => {
    throw new TidemarkError('TM_FEED_SLOT_BUSY', { slot: name, pid }, { cause })
  })
  return pid
}
