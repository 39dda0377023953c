import { reasonOf } from '../../../errors.js'
import type { Taken } from '../partitions/lanes.js'
import type { OwnedPartition } from '../partitions/owned-partition.js'
import type { Outcome } from './attempt.js'
import { storedRows } from './event-rows.js'
import { type HeldEvent, heldFromRow } from './held-event.js'
import { Outcomes } from './outcomes.js'
import { Runs, type RunsOptions } from './runs.js'

export interface EventRunnerOptions extends RunsOptions {
  /** There is room for something else. */
  ended(): void
  died(event: HeldEvent, reason: string): void
}

/** Rows of one lane that run before others get their turn. */
const storedTurn = 50

type LaneEnd = Parameters<OwnedPartition['lanes']['storedEnded']>[1]

/** Runs what may run, and does what follows from how that ended. */
export class EventRunner {
  readonly #options: EventRunnerOptions
  readonly #runs: Runs
  #running = 0

  constructor(options: EventRunnerOptions) {
    this.#options = options
    this.#runs = new Runs(options)
  }

  get running(): number {
    return this.#running
  }

  get hasRoom(): boolean {
    return this.#running < this.#options.settings.concurrency
  }

  /** Begins something of the partition; false where nothing of it may run. */
  begin(partition: OwnedPartition): boolean {
    return partition.isTurnOfStored()
      ? this.#beginStored(partition) || this.#beginHeld(partition)
      : this.#beginHeld(partition) || this.#beginStored(partition)
  }

  #beginHeld(partition: OwnedPartition): boolean {
    const taken = partition.lanes.take(this.#runs.most(partition), this.#runs.chooser())
    if (taken.length === 0) return false
    void this.#within(partition, () => this.#runHeld(partition, taken))
    return true
  }

  #beginStored(partition: OwnedPartition): boolean {
    const { suspectLanes, lanes } = partition
    const lane = lanes.takeStored((key) => this.#runs.isolation.mayBegin(suspectLanes.get(key) ?? 0))
    if (lane === undefined) return false
    suspectLanes.delete(lane)
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

  async #runHeld(partition: OwnedPartition, taken: readonly Taken<HeldEvent>[]): Promise<void> {
    const events = taken.flatMap(({ items }) => items)
    const outcomes = await this.#runs.run(partition, events, false)
    if (partition.isLost) return
    if (typeof outcomes === 'string') {
      for (const { lane, items } of taken) partition.lanes.putBack(lane, items)
      return
    }
    const told = new Outcomes(this.#options)
    for (const { lane, items } of taken) this.#applyLane(partition, lane, items, outcomes, told)
    await told.tellQueue(partition)
  }

  #applyLane(
    partition: OwnedPartition,
    lane: string,
    items: readonly HeldEvent[],
    outcomes: ReadonlyMap<string, Outcome>,
    told: Outcomes,
  ): void {
    const back: HeldEvent[] = []
    let hasFailed = false
    for (const event of items) {
      const outcome = outcomes.get(event.id) ?? { kind: 'skipped' }
      if (outcome.kind === 'back') back.push(event)
      else partition.letGo(event)
      hasFailed ||= outcome.kind === 'failed'
      told.add(event, outcome)
    }
    if (hasFailed) {
      const rest = partition.lanes.failed(lane, items.length)
      for (const event of rest) partition.letGo(event)
      if (rest.length > 0) void partition.store(rest)
    } else if (back.length > 0) partition.lanes.putBack(lane, back, items.length - back.length)
    else partition.lanes.succeeded(lane, items.length)
  }

  /** Goes through the next rows of a lane that waits in Postgres, in their order. */
  async #runStored(partition: OwnedPartition, lane: string): Promise<void> {
    let how: LaneEnd = 'again'
    try {
      const rows = await storedRows(this.#options.pool, lane, storedTurn)
      const waitsAt = rows.findIndex(({ due }) => !due)
      if (waitsAt === 0) how = 'waits'
      else {
        const due = waitsAt < 0 ? rows : rows.slice(0, waitsAt)
        how = await this.#runRows(
          partition,
          lane,
          due.map((row) => heldFromRow(row)),
        )
        // What was stored behind them meanwhile has told its lane.
        if (how === 'empty' && (waitsAt > 0 || rows.length === storedTurn)) how = 'again'
      }
    } catch (error) {
      this.#options.outage(reasonOf(error))
    }
    if (!partition.isLost) partition.lanes.storedEnded(lane, how)
  }

  async #runRows(partition: OwnedPartition, lane: string, events: readonly HeldEvent[]): Promise<LaneEnd> {
    let left = events
    while (left.length > 0 && partition.mayRun && !this.#options.stopping.aborted) {
      const group = this.#groupOf(partition, left)
      if (group.length === 0) {
        partition.suspectLanes.set(lane, left[0]!.crashes)
        return 'again'
      }
      const outcomes = await this.#runs.run(partition, group, true)
      if (outcomes === 'alone') continue
      if (outcomes === 'back') return 'again'
      const told = new Outcomes(this.#options)
      const all = group.map((event) => ({ event, outcome: outcomes.get(event.id) ?? ({ kind: 'skipped' } as const) }))
      for (const { event, outcome } of all) told.add(event, outcome)
      await told.tellQueue(partition)
      if (all.some(({ outcome }) => outcome.kind === 'failed')) return 'waits'
      left = left.slice(all.filter(({ outcome }) => outcome.kind !== 'back').length)
    }
    return left.length === 0 ? 'empty' : 'again'
  }

  /** The first of the rows, as far as they may share a transaction. Empty where its first one may not begin now. */
  #groupOf(partition: OwnedPartition, events: readonly HeldEvent[]): readonly HeldEvent[] {
    const choose = this.#runs.chooser()
    const first = choose(events[0]!)
    if (first === 'later') return []
    if (first === 'solo') return events.slice(0, 1)
    let count = 1
    const most = this.#runs.most(partition)
    while (count < events.length && count < most && choose(events[count]!) === 'batch') count++
    return events.slice(0, count)
  }
}
