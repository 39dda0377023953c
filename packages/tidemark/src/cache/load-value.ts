/** Reads a value from Postgres, with what the fence needs to judge it. */
import { isTidemarkError, TidemarkError } from '../errors.js'
import { parseLsn } from '../feed/position.js'
import { isVisible, parseSnapshot } from '../feed/sources/wal/snapshot.js'
import { withTimeout } from '../resilience/with-timeout.js'
import type { Clock } from '../time/clock.js'
import type { CachePool, Load, LoadClient } from './cache.js'
import type { LoadStamp } from './redis-tier.js'

export interface Stamp extends LoadStamp {
  /** How far a standby had replayed the log; null on a primary. */
  readonly replayed: bigint | null
  /** The transaction that the statement ran in has written: what it reads may never be committed. */
  readonly hasWritten: boolean
}

const stampSql = `
  select pg_current_snapshot()::text as snapshot, pg_is_in_recovery() as standby, pg_current_xact_id_if_assigned() is not null as "hasWritten",
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn()::text end as replayed`

/** A look at what is visible, to be taken in a statement before the rows are read. */
export const takeStamp = async (client: LoadClient): Promise<Stamp> => {
  const { rows } = await client.query<Omit<Stamp, 'replayed'> & { readonly replayed: string | null }>(stampSql)
  const { replayed, ...rest } = rows[0]!
  return { ...rest, replayed: replayed === null ? null : parseLsn(replayed) }
}

/** Whether rows that were read after the stamp show these transactions. */
export const sees = ({ snapshot, standby }: LoadStamp, xids: readonly string[]): boolean => {
  const parsed = parseSnapshot(snapshot)
  // The snapshot of a standby lists nobody in progress: only what is older than all of them has ended for sure.
  return xids.every((xid) => (standby ? BigInt(xid) < parsed.xmin : isVisible(BigInt(xid), parsed)))
}

export interface LoadRequest<P> {
  readonly key: string
  readonly params: P
  readonly stamp: boolean
}

export interface Loaded<V> {
  readonly value: V
  readonly stamp: Stamp | null
}

export interface LoaderOptions<P, V> {
  readonly pool: CachePool
  readonly load: Load<P, V>
  readonly timeoutMs: number
  readonly clock: Clock
}

/** Loads by one connection. Raises what the loader raises, and TM_CACHE_LOAD_TIMEOUT. */
export const loadValue = async <P, V>(
  { pool, load, timeoutMs, clock }: LoaderOptions<P, V>,
  { key, params, stamp }: LoadRequest<P>,
): Promise<Loaded<V>> => {
  const work = (signal: AbortSignal): Promise<Loaded<V>> =>
    pool.withClient(
      async (client) => {
        const taken = stamp ? await takeStamp(client) : null
        return { value: await load(params, client, signal), stamp: taken }
      },
      { signal },
    )
  return withTimeout(work, { timeoutMs, clock, what: `The load of ${key}` }).catch((error: unknown) => {
    throw isTidemarkError(error, 'TM_TIME_TIMEOUT')
      ? new TidemarkError('TM_CACHE_LOAD_TIMEOUT', { key, timeoutMs }, { cause: error })
      : error
  })
}
