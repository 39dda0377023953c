/** What a load tells of the moment at which it read: the fence judges it by that (CACHE-1). */
import { parseLsn } from '../../feed/position.js'
import type { BatchResult } from '../../postgres/postgres.js'
import type { LoadClient } from '../cache.js'
import type { LoadStamp } from '../redis/redis-tier.js'

export interface Stamp extends LoadStamp {
  /** How far a standby had replayed the log; null on a primary, and where it is not known. */
  readonly replayed: bigint | null
  /** The transaction that the statement ran in has written: what it reads may never be committed. */
  readonly hasWritten: boolean
}

/** A look at what is visible, to be taken in a statement before the rows are read. */
const stampSql = `
  select pg_current_snapshot()::text as snapshot, pg_is_in_recovery() as standby, pg_current_xact_id_if_assigned() is not null as "hasWritten",
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn()::text end as replayed`

/** By itself: whatever comes later is read later. */
export const takeStamp = async (client: LoadClient): Promise<Stamp> => {
  const { rows } = await client.query<Omit<Stamp, 'replayed'> & { readonly replayed: string | null }>(stampSql)
  const { replayed, ...rest } = rows[0]!
  return { ...rest, replayed: replayed === null ? null : parseLsn(replayed) }
}

/**
 * In front of a statement that reads, in one transaction with it. Where all of a transaction has one snapshot, the log goes on between that
 * and the look at it: how far it was replayed then is not known.
 */
export const stampAhead = {
  text: stampSql.replace(
    'pg_is_in_recovery() then',
    `pg_is_in_recovery() and current_setting('transaction_isolation') = 'read committed' then`,
  ),
  values: [],
  name: 'tidemark stamp',
} as const

export const readStamp = ({ rows }: BatchResult): Stamp => {
  const [snapshot, standby, hasWritten, replayed] = rows[0]!
  return {
    snapshot: snapshot!,
    standby: standby === 't',
    hasWritten: hasWritten === 't',
    replayed: replayed == null ? null : parseLsn(replayed),
  }
}
