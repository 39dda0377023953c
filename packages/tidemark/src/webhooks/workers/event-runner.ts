import { reasonOf } from '../../errors.js'
import type { Clock } from '../../time/clock.js'
import { Deadlines } from '../../time/deadlines.js'
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
import { claim, fence, storedHead, unclaim } from './event-rows.js'
import { type HeldEvent, heldFromRow } from './held-event.js'
import type { Choice, Taken } from './lanes.js'
import type { OwnedPartition } from './owned-partition.js'
import type { Buried, PutOff, Queue } from './queue.js'
import { createQuickTypes } from './quick-types.js'
import { HandlerLate } from './run-handlers.js'
import type { WorkerMetrics } from './worker-metrics.js'

export interface EventRunnerOptions extends Omit<AttemptOptions, 'ran'> {
  readonly queue: Queue
  readonly metrics: WorkerMetrics
  readonly clock: Clock
  /** Aborted when running handlers have to be given up. */
  readonly stopping: AbortSignal
  /** Postgres is away. */
  outage(reason: string): void
  /** Another worker has the partition. */
  lost(partition: OwnedPartition): void
  /** There is room for something else. */
  ended(): void
  died(event: HeldEvent, reason: string): void
}

/** A handler of a batch that takes longer makes the others of it wait. */
const batchHandlerMs = 250
/** What of a batch has not begun after this long goes back. */
const batchBudgetMs = 100
/** Savepoints of one transaction that Postgres keeps in memory. */
const mostSavepoints = 50
/** Rows of one lane that run before others get their turn. */
const storedTurn = 50

interface Sorted {
  readonly settled: HeldEvent[]
  readonly putOff: PutOff[]
  readonly buried: Buried[]
}

/** Runs what may run, and does what follows from how that ended. */
export class EventRunner {
  readonly #options: EventRunnerOptions
  readonly #attempts: AttemptOptions
  readonly #quick
  readonly #usesPostgres = new Set<string>()
  /** Events whose batch could not be kept, perhaps because of them. */
  readonly #alone = new WeakSet<HeldEvent>()
  /** Claimed by this process, with no outcome yet. */
  readonly #claimed = new Set<string>()
  readonly #batchDeadlines: Deadlines
  readonly #deadlines: Deadlines
  #isIsolating = false
  #running = 0

  constructor(options: EventRunnerOptions) {
    const { clock, settings } = options
    this.#options = options
    this.#quick = createQuickTypes(settings.quickMs)
    this.#batchDeadlines = new Deadlines(clock, Math.min(batchHandlerMs, settings.handlerTimeoutMs))
    this.#deadlines = new Deadlines(clock, settings.handlerTimeoutMs)
    this.#attempts = {
      ...options,
      ran: ({ type }, durationMs, usedPostgres) => {
        if (usedPostgres) this.#usesPostgres.add(type)
        this.#quick.ran(type, durationMs)
        options.metrics.attempt(durationMs)
      },
    }
  }

  get running(): number {
    return this.#running
  }

  get hasRoom(): boolean {
    return this.#running < this.#options.settings.concurrency
  }

  /** Begins something of the partition; false where nothing of it may run. */
  begin(partition: OwnedPartition, storedFirst: boolean): boolean {
    return storedFirst
      ? this.#beginStored(partition) || this.#beginHeld(partition)
      : this.#beginHeld(partition) || this.#beginStored(partition)
  }

  #beginHeld(partition: OwnedPartition): boolean {
    const taken = partition.lanes.take(this.#options.settings.batch, this.#chooser())
    if (taken.length === 0) return false
    void this.#within(partition, () => this.#runHeld(partition, taken))
    return true
  }

  #beginStored(partition: OwnedPartition): boolean {
    const lane = partition.lanes.takeStored()
    if (lane === undefined) return false
    void this.#within(partition, () => this.#runStored(partition, lane))
    return true
  }

  async #within(partition: OwnedPartition, run: () => Promise<void>): Promise<void> {
    this.#running++
    partition.began()
    try {
      await run()
    } catch (error) {
      this.#options.log.error('a run of events failed in an unexpected way', { err: error })
      this.#options.outage(reasonOf(error))
    } finally {
      this.#running--
      partition.ended()
      this.#options.ended()
    }
  }

  #chooser(): (event: HeldEvent) => Choice {
    const { handlers } = this.#options
    let savepoints = 0
    let expectedMs = 0
    return (event) => {
      if (event.suspect) return this.#isIsolating ? 'later' : 'solo'
      if (this.#alone.has(event)) return 'solo'
      if (handlers.of(event.type).length === 0) return 'batch'
      if (!this.#quick.isQuick(event.type)) return 'solo'
      expectedMs += this.#quick.meanMs(event.type)
      if (expectedMs > batchBudgetMs) return 'later'
      if (!this.#usesPostgres.has(event.type)) return 'batch'
      savepoints++
      return savepoints > mostSavepoints ? 'later' : 'batch'
    }
  }

  async #runHeld(partition: OwnedPartition, taken: readonly Taken<HeldEvent>[]): Promise<void> {
    const events = taken.flatMap(({ items }) => items)
    const [first] = events
    const isSuspect = events.length === 1 && first!.suspect
    if (isSuspect) this.#isIsolating = true
    let outcomes: ReadonlyMap<string, Outcome> | undefined
    try {
      outcomes = await this.#attemptHeld(partition, events)
    } catch (error) {
      outcomes = await this.#afterFailure(partition, events, error)
    } finally {
      if (isSuspect) this.#isIsolating = false
    }
    if (partition.isLost) return
    if (!outcomes) {
      for (const { lane, items } of taken) partition.lanes.putBack(lane, items)
      return
    }
    await this.#apply(partition, taken, outcomes)
  }

  async #attemptHeld(partition: OwnedPartition, events: readonly HeldEvent[]): Promise<ReadonlyMap<string, Outcome>> {
    const [only, ...others] = events
    const isSolo = others.length === 0
    if (isSolo && only!.suspect) {
      const crashLoop = await this.#claim(partition, only!, false, 0)
      if (crashLoop) return new Map([[only!.id, crashLoop]])
    }
    const outcomes = await this.#attempt(partition, events, false, isSolo)
    for (const { id } of events) this.#claimed.delete(id)
    return outcomes
  }

  #attempt(partition: OwnedPartition, events: readonly HeldEvent[], isStored: boolean, isSolo: boolean) {
    const { number, epoch } = partition
    const { stopping } = this.#options
    const signals = [stopping, partition.signal]
    const deadlines = isSolo ? this.#deadlines : this.#batchDeadlines
    const budgetMs = isSolo ? Number.POSITIVE_INFINITY : batchBudgetMs
    return attempt(this.#attempts, { partition: number, epoch, events, isStored, budgetMs, deadlines, signals })
  }

  /** Counts the run before it begins. Gives what becomes of an event that has ended its worker too often. */
  async #claim(partition: OwnedPartition, event: HeldEvent, isStored: boolean, ownCrashes: number): Promise<Outcome | undefined> {
    if (this.#claimed.has(event.id)) return undefined
    const { pool, settings } = this.#options
    const claims = await pool.transaction(async (db) => {
      if (!(await fence(db, partition.number, partition.epoch))) throw new PartitionLost()
      return claim(db, event, isStored)
    })
    if (claims === undefined) return undefined
    // The first crash of an event in memory was not counted: nobody knew then which one it was.
    const crashes = claims - ownCrashes
    if (crashes >= settings.maxCrashes) return recordCrashLoop(this.#attempts, partitionOf(partition), event, crashes)
    this.#claimed.add(event.id)
    return undefined
  }

  /** What can be said after nothing could be kept; undefined where the events go back to where they were. */
  async #afterFailure(
    partition: OwnedPartition,
    events: readonly HeldEvent[],
    error: unknown,
  ): Promise<ReadonlyMap<string, Outcome> | undefined> {
    const [only, ...others] = events
    const isSolo = others.length === 0
    if (this.#isEverybodys(partition, error)) {
      if (isSolo) await this.#unclaim(only!)
      return undefined
    }
    if (error instanceof HandlerLate) this.#quick.distrust(error.event.type)
    if (!isSolo) {
      for (const event of events) this.#alone.add(event)
      return undefined
    }
    return this.#keepFailure(partition, only!, error)
  }

  async #keepFailure(
    partition: OwnedPartition,
    event: HeldEvent,
    error: unknown,
  ): Promise<ReadonlyMap<string, Outcome> | undefined> {
    const { settings } = this.#options
    const thrown = error instanceof HandlerFailed ? error.cause : error
    const why = thrown instanceof HandlerLate ? lateError(settings.handlerTimeoutMs) : thrown
    try {
      const outcome = await recordFailure(this.#attempts, partitionOf(partition), event, why).catch((failure: unknown) => {
        if (!event.whole || !isUnstorable(failure)) throw failure
        return recordUnstorable(this.#attempts, partitionOf(partition), event, failure)
      })
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

  async #unclaim({ id }: HeldEvent): Promise<void> {
    if (!this.#claimed.delete(id)) return
    await this.#options.pool
      .withClient((db) => unclaim(db, id))
      .catch(() => {
        // Postgres is away: the claim stays, and is not counted a second time by this process.
        this.#claimed.add(id)
      })
  }

  async #apply(
    partition: OwnedPartition,
    taken: readonly Taken<HeldEvent>[],
    outcomes: ReadonlyMap<string, Outcome>,
  ): Promise<void> {
    const sorted: Sorted = { settled: [], putOff: [], buried: [] }
    for (const { lane, items } of taken) this.#applyLane(partition, lane, items, outcomes, sorted)
    await this.#tellQueue(partition, sorted)
  }

  #applyLane(
    partition: OwnedPartition,
    lane: string,
    items: readonly HeldEvent[],
    outcomes: ReadonlyMap<string, Outcome>,
    sorted: Sorted,
  ): void {
    const back: HeldEvent[] = []
    let hasFailed = false
    for (const event of items) {
      const outcome = outcomes.get(event.id) ?? { kind: 'skipped' }
      if (outcome.kind === 'back') back.push(event)
      else partition.letGo(event)
      hasFailed ||= outcome.kind === 'failed'
      this.#sort(event, outcome, sorted)
    }
    if (hasFailed) {
      const rest = partition.lanes.failed(lane, items.length)
      for (const event of rest) partition.letGo(event)
      if (rest.length > 0) void partition.store(rest)
    } else if (back.length > 0) partition.lanes.putBack(lane, back, items.length - back.length)
    else partition.lanes.succeeded(lane, items.length)
  }

  #sort(event: HeldEvent, outcome: Outcome, { settled, putOff, buried }: Sorted): void {
    const { metrics, clock } = this.#options
    switch (outcome.kind) {
      case 'back':
        return
      case 'failed':
        metrics.retried()
        putOff.push({ event, dueAtMs: clock.now() + outcome.retryInMs })
        return
      case 'dead':
        if (outcome.isNew) this.#tellOfDeath(event, outcome.reason)
        buried.push({ event, reason: outcome.reason, error: outcome.error })
        return
      case 'processed':
        metrics.processed(event.type, clock.now() - event.receivedAtMs)
        settled.push(event)
        return
      case 'skipped':
        metrics.skipped()
        settled.push(event)
        return
      case 'stored':
        settled.push(event)
    }
  }

  #tellOfDeath(event: HeldEvent, reason: string): void {
    const { metrics, log, died } = this.#options
    metrics.dead(reason)
    log.warn('an event is a dead letter', { id: event.id, provider: event.provider, type: event.type, reason })
    died(event, reason)
  }

  /** What the queue does not hear it gives again, and the rows then tell that it is done. */
  async #tellQueue({ number }: OwnedPartition, { settled, putOff, buried }: Sorted): Promise<void> {
    const { queue, log } = this.#options
    try {
      await Promise.all([queue.settle(number, settled), queue.putOff(number, putOff), queue.bury(number, buried)])
    } catch (error) {
      log.debug('the queue did not hear what became of events', { reason: reasonOf(error) })
    }
  }

  /** Goes through the rows of a lane that waits in Postgres, one after the other. */
  async #runStored(partition: OwnedPartition, lane: string): Promise<void> {
    let how: 'empty' | 'waits' | 'again' = 'again'
    try {
      for (let turn = 0; turn < storedTurn && partition.mayRun && !this.#options.stopping.aborted; turn++) {
        const step = await this.#runHead(partition, lane)
        if (step === 'next') continue
        how = step
        break
      }
    } catch (error) {
      if (!this.#isEverybodys(partition, error)) this.#options.outage(reasonOf(error))
    }
    if (!partition.isLost) partition.lanes.storedEnded(lane, how)
  }

  async #runHead(partition: OwnedPartition, lane: string): Promise<'next' | 'empty' | 'waits'> {
    const { pool } = this.#options
    const head = await storedHead(pool, lane)
    if (!head) return 'empty'
    if (!head.due) return 'waits'
    const event = heldFromRow(head, false)
    const outcome = await this.#attemptStored(partition, event)
    const sorted: Sorted = { settled: [], putOff: [], buried: [] }
    this.#sort(event, outcome, sorted)
    await this.#tellQueue(partition, sorted)
    return outcome.kind === 'failed' ? 'waits' : 'next'
  }

  async #attemptStored(partition: OwnedPartition, event: HeldEvent): Promise<Outcome> {
    const crashLoop = await this.#claim(partition, event, true, 1)
    if (crashLoop) return crashLoop
    try {
      const outcomes = await this.#attempt(partition, [event], true, true)
      this.#claimed.delete(event.id)
      return outcomes.get(event.id) ?? { kind: 'skipped' }
    } catch (error) {
      if (this.#isEverybodys(partition, error)) {
        await this.#unclaim(event)
        throw error
      }
      const kept = await this.#keepFailure(partition, event, error)
      if (!kept) throw error
      return kept.get(event.id)!
    }
  }
}

const partitionOf = ({ number, epoch }: OwnedPartition) => ({ partition: number, epoch })
