import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Pool } from '../../../postgres/postgres.js'
import type { Clock } from '../../../time/clock.js'
import type { Queue } from '../queues/queue.js'
import { PartitionLost } from '../runs/attempt.js'
import { countCrash, fence, park, parkedLanes } from '../runs/event-rows.js'
import type { HeldEvent } from '../runs/held-event.js'
import { Lanes } from './lanes.js'

export interface OwnedPartitionOptions {
  readonly number: number
  readonly epoch: string
  readonly pool: Pool
  readonly queue: Queue
  readonly clock: Clock
  readonly log: Logger
  /** Called whenever something may be run. */
  changed(): void
}

/** So long after its worker ended a partition is handled in small steps: should that happen again, few events can be to blame. */
const carefulMs = 10_000
/** After Postgres did not take what has to be stored, it is asked again so much later. */
const napMs = 500

/**
 * A partition while this worker owns it: its lanes, and what is on its way from memory into Postgres.
 *
 * opening (what was held, parked and left over is taken up) ─► reading ─► retiring (nothing new is begun) ─► lost
 */
export class OwnedPartition {
  readonly number: number
  readonly epoch: string
  readonly lanes = new Lanes<HeldEvent>()
  readonly #options: OwnedPartitionOptions
  readonly #lost = new AbortController()
  /** By event: one may stand in the stream twice, or be delivered again after Redis forgot. */
  readonly #held = new Map<string, number>()
  /** What is stored is stored in the order in which it came. */
  #storing: Promise<void> = Promise.resolve()
  #running = 0
  #whenQuiet: (() => void)[] = []
  /** Lanes whose next stored event may have ended a worker, and how often that has happened to it. */
  readonly suspectLanes = new Map<string, number>()
  #carefulUntilMs = Number.NEGATIVE_INFINITY
  #turn = 0
  isReading = false
  isRetiring = false

  constructor(options: OwnedPartitionOptions) {
    this.#options = options
    this.number = options.number
    this.epoch = options.epoch
  }

  /** Aborted when the partition is lost. */
  get signal(): AbortSignal {
    return this.#lost.signal
  }

  get isLost(): boolean {
    return this.#lost.signal.aborted
  }

  get mayRun(): boolean {
    return !this.isLost && !this.isRetiring
  }

  get heldIds(): readonly string[] {
    return [...this.#held.keys()]
  }

  get isCareful(): boolean {
    return this.#options.clock.monotonicMs() < this.#carefulUntilMs
  }

  /** What is stored and what is in memory take turns. */
  isTurnOfStored(): boolean {
    return this.#turn++ % 2 === 0
  }

  /** Takes up what was left, by `lostBy` where that worker ended: lanes that wait in Postgres, then what was held and not finished. */
  async takeUp(lostBy: string | undefined): Promise<void> {
    const { pool, queue, clock } = this.#options
    if (lostBy !== undefined) this.#carefulUntilMs = clock.monotonicMs() + carefulMs
    const unended = await queue.unended(this.number)
    const counted = await pool.withClient((db) => countCrash(db, unended, lostBy))
    const parked = await pool.withClient((db) => parkedLanes(db, this.number))
    for (const { lane, due } of parked) this.lanes.park(lane, due)
    const crashes = new Map(unended.map((id) => [id, counted.get(id) ?? 1]))
    const left = new Set(unended.filter((id) => !counted.has(id)))
    for await (const events of queue.recover(this.number, { lostBy, crashes })) {
      for (const { id } of events) left.delete(id)
      await this.arrive(events)
    }
    await queue.forget(this.number, [...left])
    this.#options.changed()
  }

  /** Takes events that were read, in their order. Resolves when those whose lanes wait in Postgres are stored there. */
  async arrive(events: readonly HeldEvent[]): Promise<void> {
    const toStore: HeldEvent[] = []
    for (const event of events) {
      if (this.lanes.arrive(event.lane, event) === 'store') toStore.push(event)
      else this.#hold(event)
    }
    this.#options.changed()
    if (toStore.length > 0) await this.store(toStore)
  }

  #hold({ id }: HeldEvent): void {
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1)
  }

  /** Is no longer in memory. */
  letGo({ id }: HeldEvent): void {
    const count = (this.#held.get(id) ?? 0) - 1
    if (count > 0) this.#held.set(id, count)
    else this.#held.delete(id)
  }

  /** Puts events into Postgres behind those of their lanes, and out of the queue. Goes on until that is done or the partition is lost. */
  store(events: readonly HeldEvent[]): Promise<void> {
    this.#storing = this.#storing.then(() => this.#store(events))
    return this.#storing
  }

  async #store(events: readonly HeldEvent[]): Promise<void> {
    const { pool, queue, clock, log } = this.#options
    while (!this.isLost) {
      try {
        await pool.transaction(async (db) => {
          if (!(await fence(db, this.number, this.epoch))) throw new PartitionLost()
          await park(db, events)
        })
        break
      } catch (error) {
        if (error instanceof PartitionLost) return
        log.warn('events could not be stored behind their lanes', { partition: this.number, reason: reasonOf(error) })
        await clock.sleep(napMs)
      }
    }
    if (this.isLost) return
    for (const [lane, those] of groupByLane(events)) this.lanes.stored(lane, those.length)
    this.#options.changed()
    await queue.settle(this.number, events).catch((error: unknown) => {
      log.debug('stored events are still in the stream', { reason: reasonOf(error) })
    })
  }

  began(): void {
    this.#running++
  }

  ended(): void {
    this.#running--
    if (this.#running > 0) return
    for (const tell of this.#whenQuiet.splice(0)) tell()
  }

  /** Resolves when nothing of it runs. */
  async quiet(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#whenQuiet.push(resolve))
    await this.#storing
  }

  /** Nothing of it may count any more. */
  lose(): void {
    this.isReading = false
    this.#lost.abort(new PartitionLost())
    this.lanes.clear()
    this.#held.clear()
  }
}

const groupByLane = (events: readonly HeldEvent[]): Map<string, HeldEvent[]> => {
  const lanes = new Map<string, HeldEvent[]>()
  for (const event of events) {
    const list = lanes.get(event.lane) ?? []
    lanes.set(event.lane, list)
    list.push(event)
  }
  return lanes
}
