import type pg from 'pg'
import type { Clock } from '../../time/clock.js'

interface Waiter {
  readonly resolve: (client: pg.PoolClient) => void
  readonly reject: (error: unknown) => void
}

/**
 * How long the next connection waits for the one before it. A server nearby opens one in less: there many at once make each slower, and whoever waits
 * may get one that another has done with instead. One that is far away need not be waited for.
 */
const paceMs = 20

/** Hands out the connections of a pool: idle ones at once, new ones one after the other, in the order in which they are asked for. */
export class CheckOuts {
  readonly #pool: pg.Pool
  readonly #clock: Clock
  readonly #waiters: Waiter[] = []
  #opening = 0
  #openedAtMs = Number.NEGATIVE_INFINITY
  #isNapping = false

  constructor(pool: pg.Pool, clock: Clock) {
    this.#pool = pool
    this.#clock = clock
    // The connection is idle only after whoever hears of this.
    pool.on('release', () => {
      if (this.#waiters.length > 0) process.nextTick(() => this.#serve())
    })
  }

  /** The caller sees to it that there are never more than the pool may have. Raises what the driver raises. */
  take(): Promise<pg.PoolClient> {
    if (this.#waiters.length === 0 && this.#isIdle()) return this.#pool.connect()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#serve()
    })
  }

  /** One that nobody was promised. */
  #isIdle(): boolean {
    return this.#pool.idleCount > this.#pool.waitingCount
  }

  #serve(): void {
    while (this.#waiters.length > 0) {
      const isIdle = this.#isIdle()
      if (!isIdle && !this.#mayOpen()) return
      const { resolve, reject } = this.#waiters.shift()!
      const taken = isIdle ? this.#pool.connect() : this.#open()
      taken.then(resolve, reject)
    }
  }

  #mayOpen(): boolean {
    const leftMs = this.#opening === 0 ? 0 : this.#openedAtMs + paceMs - this.#clock.monotonicMs()
    if (leftMs > 0) void this.#nap(leftMs)
    return leftMs <= 0
  }

  async #nap(ms: number): Promise<void> {
    if (this.#isNapping) return
    this.#isNapping = true
    await this.#clock.sleep(ms)
    this.#isNapping = false
    this.#serve()
  }

  async #open(): Promise<pg.PoolClient> {
    this.#opening += 1
    this.#openedAtMs = this.#clock.monotonicMs()
    try {
      return await this.#pool.connect()
    } finally {
      this.#opening -= 1
      this.#serve()
    }
  }
}
