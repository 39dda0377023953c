import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Pool } from '../../../postgres/postgres.js'
import type { Redis } from '../../../redis/redis.js'
import type { Clock } from '../../../time/clock.js'
import type { Background } from '../background.js'
import type { Queue } from '../queues/queue.js'
import { drainSpool, respool, spoolingPartitions } from '../queues/spool.js'
import type { Taken } from './leases.js'
import { OwnedPartition } from './owned-partition.js'

export interface OwnedPartitionsOptions {
  readonly pool: Pool
  readonly redis: Redis
  readonly partitions: number
  readonly queue: Queue
  readonly clock: Clock
  readonly log: Logger
  readonly background: Background
  /** Something may be run. */
  changed(): void
  /** Events of one more partition may be read. */
  opened(): void
  /** A partition has to be given up at once; it may be taken again. */
  drop(partition: number): void
  /** A partition is nobody's here any more. */
  forget(partition: number): void
  /** A partition could not be taken up. */
  failed(error: unknown): void
}

interface Read {
  readonly numbers: ReadonlySet<number>
  readonly ended: Promise<void>
}

const againMs = 500

/** The partitions that this worker owns: how each is taken up, given back, and begun anew. */
export class OwnedPartitions {
  readonly #options: OwnedPartitionsOptions
  readonly #all = new Map<number, OwnedPartition>()
  readonly #reads = new Set<Read>()

  constructor(options: OwnedPartitionsOptions) {
    this.#options = options
  }

  get all(): readonly OwnedPartition[] {
    return [...this.#all.values()]
  }

  /** Those of which something may be read and begun. */
  get reading(): ReadonlyMap<number, OwnedPartition> {
    return new Map([...this.#all].filter(([, { isReading, mayRun }]) => isReading && mayRun))
  }

  /**
   * Says that partitions are being read, until what it gives is called. None is given up before that: what such a read brings after the next
   * owner has looked at what was left would be nobody's.
   */
  beginRead(numbers: Iterable<number>): () => void {
    let end = (): void => undefined
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const read = { numbers: new Set(numbers), ended }
    this.#reads.add(read)
    return () => {
      this.#reads.delete(read)
      end()
    }
  }

  /** Resolves when nothing of it runs, and nothing is read for it. */
  async #quiet(partition: OwnedPartition): Promise<void> {
    await partition.quiet()
    const reads = [...this.#reads].filter(({ numbers }) => numbers.has(partition.number))
    if (reads.length === 0) return
    await this.#options.queue.interrupt()
    await Promise.all(reads.map(({ ended }) => ended))
  }

  get(number: number): OwnedPartition | undefined {
    return this.#all.get(number)
  }

  taken(number: number, { epoch, lostBy }: Taken): void {
    const { pool, queue, clock, changed, background } = this.#options
    const log = this.#options.log.child('partition', { partition: number })
    const partition = new OwnedPartition({ number, epoch, pool, log, queue, clock, changed })
    this.#all.set(number, partition)
    log.debug('taken', { epoch, lostBy: lostBy ?? '' })
    background.add(this.#takeUp(partition, lostBy))
  }

  async #takeUp(partition: OwnedPartition, lostBy: string | undefined): Promise<void> {
    const { queue, log, clock, opened, failed, drop } = this.#options
    const { number, epoch } = partition
    try {
      if (await queue.isMissing(number)) {
        // Of a partition that was handled before, a stream without its group is one that Redis lost.
        if (epoch !== '1') await this.#makeGood(partition)
        await queue.create(number)
      }
      await partition.takeUp(lostBy)
      partition.isReading = !partition.isRetiring
      opened()
    } catch (error) {
      if (partition.isLost) return
      log.warn('a partition could not be taken up; it is tried again', { partition: number, reason: reasonOf(error) })
      failed(error)
      await clock.sleep(againMs)
      if (this.#all.get(number) === partition) drop(number)
    }
  }

  async #makeGood(partition: OwnedPartition): Promise<void> {
    this.#options.log.warn('a stream was lost; what is not done goes through it anew', { partition: partition.number })
    await respool(this.#options, partition)
  }

  /** What waits in Postgres goes into its streams. Not part of a tick: many rows take longer than a lease. */
  async drain(): Promise<void> {
    for (const number of await spoolingPartitions(this.#options.pool, [...this.reading.keys()])) {
      const partition = this.#all.get(number)
      if (partition) await drainSpool(this.#options, partition)
    }
  }

  lost(number: number): void {
    const partition = this.#all.get(number)
    this.#all.delete(number)
    this.#options.forget(number)
    partition?.lose()
  }

  async retire(number: number): Promise<void> {
    const partition = this.#all.get(number)
    if (!partition) return
    partition.isReading = false
    partition.isRetiring = true
    await this.#quiet(partition)
    await this.#options.queue.leave(number).catch(() => undefined)
    if (this.#all.get(number) === partition) this.lost(number)
  }

  /** Nothing new is begun. Resolves when nothing runs, and nothing is read. */
  async retireAll(): Promise<void> {
    const all = this.all
    for (const partition of all) {
      partition.isReading = false
      partition.isRetiring = true
    }
    await Promise.all(all.map((partition) => this.#quiet(partition)))
  }

  loseAll(): void {
    for (const partition of this.#all.values()) partition.lose()
    this.#all.clear()
  }

  /** Redis may have forgotten what it was told last: what it holds is read anew, and rows tell what of it is done. */
  reopenAll(): void {
    for (const partition of this.#all.values()) this.#reopen(partition)
  }

  /** Those whose stream, or the group on it, is gone. */
  async reopenMissing(): Promise<void> {
    for (const partition of this.reading.values()) {
      if (await this.#options.queue.isMissing(partition.number)) this.#reopen(partition)
    }
  }

  #reopen(partition: OwnedPartition): void {
    partition.isReading = false
    partition.isRetiring = true
    this.#options.background.add(
      this.#quiet(partition).then(() => {
        if (this.#all.get(partition.number) === partition) this.#options.drop(partition.number)
      }),
    )
  }
}
