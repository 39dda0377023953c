/** Reads a value from Postgres, with what the fence needs to judge it. */
import { TidemarkError } from '../errors.js'
import { parseLsn } from '../feed/position.js'
import { isVisible, parseSnapshot } from '../feed/sources/wal/snapshot.js'
import type { Clock } from '../time/clock.js'
import { Deadlines } from '../time/deadlines.js'
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

/** Loads by one connection each. */
export class Loader<P, V> {
  readonly #options: LoaderOptions<P, V>
  readonly #deadlines: Deadlines

  constructor(options: LoaderOptions<P, V>) {
    this.#options = options
    this.#deadlines = new Deadlines(options.clock, options.timeoutMs)
  }

  /** Raises what the loader raises, and TM_CACHE_LOAD_TIMEOUT at once when its time is over, whether or not it heeds its signal. */
  load(request: LoadRequest<P>): Promise<Loaded<V>> {
    const over = new AbortController()
    return new Promise((resolve, reject) => {
      const takeBack = this.#deadlines.begin(() => {
        const error = new TidemarkError('TM_CACHE_LOAD_TIMEOUT', { key: request.key, timeoutMs: this.#options.timeoutMs })
        over.abort(error)
        reject(error)
      })
      this.#work(request, over.signal).then(
        (loaded) => {
          takeBack()
          resolve(loaded)
        },
        (error: unknown) => {
          takeBack()
          reject(error)
        },
      )
    })
  }

  #work({ params, stamp }: LoadRequest<P>, signal: AbortSignal): Promise<Loaded<V>> {
    const { pool, load } = this.#options
    return pool.withClient(
      async (client) => {
        const taken = stamp ? await takeStamp(client) : null
        return { value: await load(params, client, signal), stamp: taken }
      },
      { signal },
    )
  }
}
