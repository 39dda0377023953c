import { reasonOf } from '../../../errors.js'
import type { Clock } from '../../../time/clock.js'
import { Deadlines } from '../../../time/deadlines.js'
import type { Choice } from '../partitions/lanes.js'
import { endedWorkers } from '../partitions/leases.js'
import type { OwnedPartition } from '../partitions/owned-partition.js'
import type { Queue } from '../queues/queue.js'
import type { WorkerMetrics } from '../worker-metrics.js'
import {
  type AttemptOptions,
  attempt,
  HandlerFailed,
  isOutage,
  isUnstorable,
  lateError,
  type Outcome,
  PartitionLost,
  recordCrashLoop,
  recordFailure,
  recordUnstorable,
} from './attempt.js'
import { claim, fence, unclaim } from './event-rows.js'
import type { HeldEvent } from './held-event.js'
import { Isolation } from './isolation.js'
import { createQuickTypes } from './quick-types.js'
import { HandlerLate } from './run-handlers.js'

export interface RunsOptions extends Omit<AttemptOptions, 'ran'> {
  readonly queue: Queue
  readonly metrics: WorkerMetrics
  readonly clock: Clock
  /** Aborted when running handlers have to be given up. */
  readonly stopping: AbortSignal
  /** Postgres is away. */
  outage(reason: string): void
  /** Another worker has the partition. */
  lost(partition: OwnedPartition): void
}

/** By event. `alone`: one of them may be to blame, so each has to run by itself. `back`: nothing happened, by no fault of theirs. */
export type RunOutcomes = ReadonlyMap<string, Outcome> | 'alone' | 'back'

/** A handler of a batch that takes longer makes the others of it wait. */
const batchHandlerMs = 250
/** What of a batch has not begun after this long goes back. */
const batchBudgetMs = 100
/** Savepoints of one transaction that Postgres keeps in memory. */
const mostSavepoints = 50
/** Events that share a transaction soon after a worker has ended. */
const carefulBatch = 4

/** Runs events: who may share a transaction, what is counted before it begins, and what follows where it could not be kept. */
export class Runs {
  readonly #options: RunsOptions
  readonly #attempts: AttemptOptions
  readonly #quick
  readonly #usesPostgres = new Set<string>()
  /** Events whose batch could not be kept, perhaps because of them. */
  readonly #alone = new WeakSet<HeldEvent>()
  /** Claimed by this process, with no outcome yet. */
  readonly #claimed = new Set<string>()
  readonly #batchDeadlines: Deadlines
  readonly #deadlines: Deadlines
  readonly isolation: Isolation

  constructor(options: RunsOptions) {
    const { clock, settings } = options
    this.#options = options
    this.#quick = createQuickTypes(settings.quickMs)
    this.#batchDeadlines = new Deadlines(clock, Math.min(batchHandlerMs, settings.handlerTimeoutMs))
    this.#deadlines = new Deadlines(clock, settings.handlerTimeoutMs)
    this.isolation = new Isolation(clock)
    this.#attempts = { ...options, ran: (event, durationMs, usedPostgres) => this.#ran(event, durationMs, usedPostgres) }
  }

  #ran({ type }: HeldEvent, durationMs: number, usedPostgres: boolean): void {
    if (usedPostgres) this.#usesPostgres.add(type)
    this.#quick.ran(type, durationMs)
    this.#options.metrics.attempt(durationMs)
  }

  /** How many events of a partition may share a transaction. */
  most({ isCareful }: OwnedPartition): number {
    const { batch } = this.#options.settings
    return isCareful ? Math.min(carefulBatch, batch) : batch
  }

  /** Judges events in the order in which they would run in one transaction. */
  chooser(): (event: HeldEvent) => Choice {
    const { handlers } = this.#options
    const { isClosed } = this.isolation
    let savepoints = 0
    let expectedMs = 0
    return (event) => {
      if (event.crashes > 0) return this.isolation.mayBegin(event.crashes) ? 'solo' : 'later'
      if (isClosed) return 'later'
      if (this.#alone.has(event)) return 'solo'
      if (handlers.of(event.type).length === 0) return 'batch'
      if (!this.#quick.isQuick(event.type)) return 'solo'
      const isFirst = expectedMs === 0
      expectedMs += this.#quick.meanMs(event.type)
      if (expectedMs > batchBudgetMs && !isFirst) return 'later'
      if (!this.#usesPostgres.has(event.type)) return 'batch'
      savepoints++
      return savepoints > mostSavepoints ? 'later' : 'batch'
    }
  }

  /** Runs events that {@link chooser} has put together; `isStored` where they are the next rows of a parked lane. Raises nothing. */
  async run(partition: OwnedPartition, events: readonly HeldEvent[], isStored: boolean): Promise<RunOutcomes> {
    const end = this.isolation.begin(events[0]!.crashes)
    const spent = { handlersMs: 0 }
    try {
      const outcomes = await this.#runCounted(partition, events, isStored, spent)
      for (const { id } of events) this.#claimed.delete(id)
      return outcomes
    } catch (error) {
      return await this.#afterFailure(partition, events, error, spent.handlersMs)
    } finally {
      end()
    }
  }

  async #runCounted(
    partition: OwnedPartition,
    events: readonly HeldEvent[],
    isStored: boolean,
    spent: { handlersMs: number },
  ): Promise<ReadonlyMap<string, Outcome>> {
    const [first, ...others] = events
    if (first!.crashes > 0) {
      const crashLoop = await this.#claim(partition, first!, isStored)
      if (crashLoop) return new Map([[first!.id, crashLoop]])
    }
    const { number, epoch } = partition
    const isSolo = others.length === 0
    const noted = this.#note(number, events, isStored)
    // Where rows are the queue the note is one of those which the transaction is about to lock.
    if (this.#options.queue.kind === 'rows') await noted
    const startedAt = performance.now()
    const ran: AttemptOptions['ran'] = (event, durationMs, usedPostgres) => {
      spent.handlersMs += durationMs
      this.#ran(event, durationMs, usedPostgres)
    }
    const what = {
      partition: number,
      epoch,
      events,
      isStored,
      noted,
      budgetMs: isSolo ? Number.POSITIVE_INFINITY : batchBudgetMs,
      deadlines: isSolo ? this.#deadlines : this.#batchDeadlines,
      signals: [this.#options.stopping, partition.signal],
    }
    const outcomes = await attempt({ ...this.#attempts, ran }, what)
    this.#quick.spent(performance.now() - startedAt - spent.handlersMs)
    return outcomes
  }

  /** Without it an event that ends this worker is not told from what merely stood beside it; that it runs matters more. */
  #note(number: number, events: readonly HeldEvent[], isStored: boolean): Promise<void> {
    const { queue, log } = this.#options
    return queue.begun(number, events, isStored).catch((error: unknown) => {
      log.debug('it could not be noted that events run', { reason: reasonOf(error) })
    })
  }

  /** Counts the run before it begins. Gives what becomes of an event that has ended workers too often. */
  async #claim(partition: OwnedPartition, event: HeldEvent, isStored: boolean): Promise<Outcome | undefined> {
    if (this.#claimed.has(event.id)) return undefined
    const { pool, settings } = this.#options
    const crashes = await pool.transaction(async (db) => {
      if (!(await fence(db, partition.number, partition.epoch))) throw new PartitionLost()
      const before = await claim(db, event, isStored)
      if (before === undefined || before < settings.maxCrashes || before >= 2 * settings.maxCrashes) return before
      // Where workers end all the time, by no fault of any event, twice as much has to speak against one.
      return (await endedWorkers(db, settings.leaseMs)) > 4 * settings.maxCrashes ? 0 : before
    })
    if (crashes === undefined) return undefined
    if (crashes >= settings.maxCrashes) return recordCrashLoop(this.#attempts, partitionOf(partition), event, crashes)
    this.#claimed.add(event.id)
    return undefined
  }

  /** What can be said after nothing could be kept. */
  async #afterFailure(
    partition: OwnedPartition,
    events: readonly HeldEvent[],
    error: unknown,
    handlersMs: number,
  ): Promise<RunOutcomes> {
    const [only, ...others] = events
    const isSolo = others.length === 0
    if (this.#isEverybodys(partition, error)) {
      await this.#undoCounts(partition, events)
      return 'back'
    }
    if (error instanceof HandlerLate) this.#quick.distrust(error.event.type)
    if (isSolo) return (await this.#keepFailure(partition, only!, error, handlersMs)) ?? 'back'
    for (const event of events) this.#alone.add(event)
    return 'alone'
  }

  async #keepFailure(
    partition: OwnedPartition,
    event: HeldEvent,
    error: unknown,
    handlersMs: number,
  ): Promise<ReadonlyMap<string, Outcome> | undefined> {
    const { settings } = this.#options
    const thrown = error instanceof HandlerFailed ? error.cause : error
    const why = thrown instanceof HandlerLate ? lateError(settings.handlerTimeoutMs) : thrown
    try {
      const outcome = await recordFailure(this.#attempts, partitionOf(partition), event, why, handlersMs).catch(
        (failure: unknown) => {
          if (!event.whole || !isUnstorable(failure)) throw failure
          return recordUnstorable(this.#attempts, partitionOf(partition), event, failure)
        },
      )
      this.#claimed.delete(event.id)
      return new Map([[event.id, outcome]])
    } catch (failure) {
      if (!this.#isEverybodys(partition, failure)) this.#options.outage(reasonOf(failure))
      return undefined
    }
  }

  /** True where no event is to blame: the partition was lost, the worker stops, Postgres is away. */
  #isEverybodys(partition: OwnedPartition, error: unknown): boolean {
    if (error instanceof PartitionLost) {
      if (!partition.isLost) this.#options.lost(partition)
      return true
    }
    if (this.#options.stopping.aborted || partition.isLost) return true
    if (!isOutage(error)) return false
    this.#options.outage(reasonOf(error))
    return true
  }

  /** Of a lost partition the notes are its new owner's. An event that may have ended a worker stays under suspicion. */
  async #undoCounts(partition: OwnedPartition, events: readonly HeldEvent[]): Promise<void> {
    const { pool, queue } = this.#options
    const [first] = events
    if (first!.crashes === 0) {
      if (!partition.isLost) await queue.notBegun(partition.number, events).catch(() => undefined)
    } else if (this.#claimed.delete(first!.id)) {
      // Postgres is away: the claim stays, and is not counted a second time by this process.
      await pool.withClient((db) => unclaim(db, first!.id)).catch(() => this.#claimed.add(first!.id))
    }
  }
}

const partitionOf = ({ number, epoch }: OwnedPartition) => ({ partition: number, epoch })
