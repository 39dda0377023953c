/** Reads a value from Postgres, with what the fence needs to judge it. */
import { TidemarkError } from '../../errors.js'
import { isVisible, parseSnapshot } from '../../feed/sources/wal/snapshot.js'
import type { Clock } from '../../time/clock.js'
import { Deadlines } from '../../time/deadlines.js'
import type { CachePool, Load } from '../cache.js'
import type { LoadStamp } from '../redis/redis-tier.js'
import { FirstStatement } from './first-statement.js'
import { type Stamp, takeStamp } from './stamp.js'

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
  /** A stamp was asked for, and what was read may be older than any that there is. */
  readonly isLate: boolean
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
  /**
   * Whether the first thing that `load` does is a statement that carries a stamp along. Known from its first load on; false for ever once it
   * did something else, since what it read by other ways may be older than the stamp.
   */
  #asksAtOnce: boolean | undefined

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
        const isCarried = stamp && this.#asksAtOnce === true && client.queryBehind !== undefined
        const taken = stamp && !isCarried ? await takeStamp(client) : null
        if (!isCarried && this.#asksAtOnce !== undefined)
          return { value: await load(params, client, signal), stamp: taken, isLate: false }
        return this.#watch(new FirstStatement(client, isCarried), taken, (first) => load(params, first, signal))
      },
      { signal },
    )
  }

  async #watch(first: FirstStatement, taken: Stamp | null, load: (first: FirstStatement) => Promise<V>): Promise<Loaded<V>> {
    try {
      const value = await load(first)
      return { value, stamp: taken ?? first.stamp, isLate: first.isCarrier && first.stamp === null }
    } finally {
      this.#asksAtOnce = first.isFit && this.#asksAtOnce !== false
    }
  }
}
