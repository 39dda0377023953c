/** Reads a value from Postgres, with what the fence needs to judge it. */
import { TidemarkError } from '../errors.js'
import { parseLsn } from '../feed/position.js'
import { isVisible, parseSnapshot } from '../feed/sources/wal/snapshot.js'
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

interface Running {
  readonly endsAtMs: number
  readonly giveUp: () => void
}

/** Nobody takes a timer back: the one that is left when the last load has ended keeps the process no longer than this. */
const longestNapMs = 250

/** Loads by one connection each. They all have the same time, so that one timer is enough for them: one each costs more than the rest of a load does. */
export class Loader<P, V> {
  readonly #options: LoaderOptions<P, V>
  /** In the order in which their time ends. */
  readonly #running = new Set<Running>()
  #isWatched = false

  constructor(options: LoaderOptions<P, V>) {
    this.#options = options
  }

  /** Raises what the loader raises, and TM_CACHE_LOAD_TIMEOUT at once when its time is over, whether or not it heeds its signal. */
  load(request: LoadRequest<P>): Promise<Loaded<V>> {
    const { clock, timeoutMs } = this.#options
    const over = new AbortController()
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        const error = new TidemarkError('TM_CACHE_LOAD_TIMEOUT', { key: request.key, timeoutMs })
        over.abort(error)
        reject(error)
      }
      const running = { endsAtMs: clock.monotonicMs() + timeoutMs, giveUp }
      this.#begin(running)
      this.#work(request, over.signal).then(
        (loaded) => {
          this.#running.delete(running)
          resolve(loaded)
        },
        (error: unknown) => {
          this.#running.delete(running)
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

  #begin(running: Running): void {
    if (running.endsAtMs === Number.POSITIVE_INFINITY) return
    this.#running.add(running)
    if (!this.#isWatched) void this.#watch()
  }

  /** Gives up whoever's time is over. Who comes during a nap has at least as long. */
  async #watch(): Promise<void> {
    const { clock } = this.#options
    this.#isWatched = true
    for (let [first] = this.#running; first; [first] = this.#running) {
      const leftMs = first.endsAtMs - clock.monotonicMs()
      if (leftMs > 0) await clock.sleep(Math.min(leftMs, longestNapMs))
      else {
        this.#running.delete(first)
        first.giveUp()
      }
    }
    this.#isWatched = false
  }
}
