import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Pool } from '../../../postgres/postgres.js'
import type { Clock } from '../../../time/clock.js'
import type { WorkerSettings } from '../workers.js'
import { beat, beginEpoch, endEpoch, type Leases, signOff, type Taken } from './leases.js'

export interface OwnershipOptions {
  readonly pool: Pool
  readonly leases: Leases
  /** Leases are rows: whether one is free is looked at once more under the lock of its row. */
  readonly areRows: boolean
  readonly name: string
  readonly partitions: number
  readonly settings: Pick<WorkerSettings, 'heartbeatMs' | 'leaseMs'>
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
  /** A partition is this worker's. */
  taken(partition: number, taken: Taken): void
  /** It is no longer: nothing of it may be begun any more. */
  lost(partition: number): void
  /** It has to be given back: resolves when nothing of it runs. */
  retire(partition: number): Promise<void>
}

interface Held {
  readonly epoch: string
  renewedAtMs: number
  isLeaving: boolean
}

/** Which partitions are this worker's: its even share of them, as long as it is heard of. */
export class Ownership {
  readonly #options: OwnershipOptions
  readonly #held = new Map<number, Held>()
  #beatAtMs = Number.NEGATIVE_INFINITY
  #live = 1
  #isStopping = false

  constructor(options: OwnershipOptions) {
    this.#options = options
  }

  get owned(): readonly number[] {
    return [...this.#held.keys()]
  }

  /** To be called about once a second. Raises nothing: what fails now is tried again next time. */
  async tick(): Promise<void> {
    const { settings, clock, log } = this.#options
    try {
      if (clock.monotonicMs() - this.#beatAtMs >= settings.heartbeatMs) await this.#beat()
      const staying = [...this.#held.values()].filter(({ isLeaving }) => !isLeaving).length
      const surplus = staying - this.#share()
      if (surplus > 0) await this.#giveBack(surplus)
      else if (surplus < 0 && !this.#isStopping) await this.#takeMore(-surplus)
    } catch (error) {
      log.debug('partitions could not be looked after', { reason: reasonOf(error) })
    }
    this.#dropExpired()
  }

  /** Gives one up at once, such as when Redis may have forgotten what was done in it. It may be taken again. */
  drop(partition: number): void {
    if (this.#held.delete(partition)) this.#options.lost(partition)
  }

  /** Gives a partition back whose work has ended. */
  async release(partition: number): Promise<void> {
    const held = this.#held.get(partition)
    if (!held) return
    this.#held.delete(partition)
    const { pool, leases } = this.#options
    await endEpoch(pool, partition, held.epoch)
    await leases.release(partition)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    for (const partition of this.owned) {
      await this.release(partition).catch((error: unknown) =>
        this.#options.log.warn('a partition was not given back', { partition, reason: reasonOf(error) }),
      )
    }
    await signOff(this.#options.pool, this.#options.name).catch(() => undefined)
  }

  #share(): number {
    return Math.ceil(this.#options.partitions / this.#live)
  }

  async #beat(): Promise<void> {
    const { pool, name, settings, clock, leases } = this.#options
    const startedAt = clock.monotonicMs()
    const owned = this.owned
    // Redis may answer while Postgres does not, and the other way round: one must not cost the other.
    const [live, renewed] = await Promise.allSettled([beat(pool, name, settings.leaseMs), leases.renew(owned)])
    if (live.status === 'fulfilled') this.#live = live.value
    if (renewed.status === 'fulfilled') {
      for (const partition of owned) {
        const held = this.#held.get(partition)
        if (!renewed.value.includes(partition)) this.drop(partition)
        else if (held) held.renewedAtMs = startedAt
      }
    }
    if (live.status === 'fulfilled' && renewed.status === 'fulfilled') this.#beatAtMs = startedAt
  }

  #dropExpired(): void {
    const { clock, settings } = this.#options
    for (const [partition, { renewedAtMs }] of this.#held) {
      if (clock.monotonicMs() - renewedAtMs >= settings.leaseMs) this.drop(partition)
    }
  }

  async #giveBack(count: number): Promise<void> {
    const leaving = [...this.#held].filter(([, { isLeaving }]) => !isLeaving).slice(-count)
    for (const [partition, held] of leaving) {
      held.isLeaving = true
      // Its handlers may take their time; the others' leases go on meanwhile.
      void this.#options
        .retire(partition)
        .then(() => this.release(partition))
        .catch((error: unknown) =>
          this.#options.log.warn('a partition was not given back', { partition, reason: reasonOf(error) }),
        )
    }
  }

  async #takeMore(count: number): Promise<void> {
    const { partitions, random } = this.#options
    const others = Array.from({ length: partitions }, (_each, partition) => partition).filter((each) => !this.#held.has(each))
    const shuffled = others.map((partition) => ({ partition, at: random() })).sort((one, other) => one.at - other.at)
    let taken = 0
    for (const { partition } of shuffled) {
      if (taken >= count) return
      if (await this.#take(partition)) taken++
    }
  }

  async #take(partition: number): Promise<boolean> {
    const { leases, pool, name, clock, areRows, settings } = this.#options
    const renewedAtMs = clock.monotonicMs()
    if (!(await leases.take(partition))) return false
    let taken: Taken | undefined
    try {
      taken = await beginEpoch(pool, partition, name, areRows ? settings.leaseMs : undefined)
    } catch (error) {
      await leases.release(partition).catch(() => undefined)
      throw error
    }
    if (!taken) return false
    this.#held.set(partition, { epoch: taken.epoch, renewedAtMs, isLeaving: false })
    this.#options.taken(partition, taken)
    return true
  }
}
