import { reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import { fullJitter } from '../../resilience/backoff.js'
import { retryAfterMsOf } from '../../resilience/retry.js'
import type { Clock } from '../../time/clock.js'
import type { FeedEvent, FeedReset, Follower } from '../feed.js'
import type { Position } from '../position.js'
import type { FollowerMetrics } from './feed-metrics.js'
import type { FollowerHealth } from './follow.js'
import { LaneFilter } from './lane-filter.js'
import { type LaneItem, type LaneLimits, LaneQueue } from './lane-queue.js'

export interface LaneSettings extends LaneLimits {
  readonly retryBaseMs: number
  readonly retryMaxMs: number
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
  readonly metrics: FollowerMetrics
  /** Ends everything. */
  readonly signal: AbortSignal
  /** Called when the position moved or the history changed. */
  readonly moved: () => void
}

interface Trouble {
  readonly failures: number
  readonly lastError: string
  readonly since: number
}

/** One follower with what waits for it. It goes its own way; only its bound holds the others back. */
export class FollowerLane {
  readonly follower: Follower
  readonly #settings: LaneSettings
  readonly #queue: LaneQueue
  #filter: LaneFilter
  #position: Position | null = null
  #stored: Position | null = null
  #trouble: Trouble | undefined
  #freshAsOf = -Infinity
  #workingSince: number | undefined

  constructor(follower: Follower, settings: LaneSettings) {
    this.follower = follower
    this.#settings = settings
    this.#queue = new LaneQueue(settings, settings.signal)
    this.#filter = new LaneFilter(follower.tables, null)
  }

  get name(): string {
    return this.follower.name
  }

  get isDurable(): boolean {
    return this.follower.stored !== undefined
  }

  /** Everything up to here is applied, or was not for it. */
  get position(): Position | null {
    return this.#position
  }

  get stored(): Position | null {
    return this.#stored
  }

  get freshnessMs(): number {
    return this.#settings.clock.monotonicMs() - this.#freshAsOf
  }

  /** Learns where a durable follower is; asks until it answers. */
  async begin(): Promise<void> {
    if (!this.isDurable) return
    await this.#untilDone(() => this.readStored())
    this.#filter = new LaneFilter(this.follower.tables, this.#stored)
  }

  async readStored(): Promise<Position | null> {
    this.#stored = (await this.follower.stored?.()) ?? null
    return this.#stored
  }

  /** Takes what of the event is for this follower; waits for room. */
  async offer(event: FeedEvent): Promise<void> {
    for (const item of this.#itemsOf(event)) await this.#queue.give(item)
  }

  #itemsOf(event: FeedEvent): LaneItem[] {
    if (event.type === 'reset') {
      const reset = this.#filter.reset(event)
      return [reset ? { type: 'reset', reset } : { type: 'passed', position: this.#stored ?? event.position }]
    }
    const { epoch, number } = event.position
    // A piece at its position is still to come.
    const before = { epoch, number: event.type === 'fresh' ? number : number - 1n }
    const reset = this.#filter.resetBefore(before)
    const item: LaneItem | undefined = event.type === 'fresh' ? { type: 'fresh', proof: event } : this.#filter.piece(event)
    return [...(reset ? [{ type: 'reset', reset } as const] : []), ...(item ? [item] : [])]
  }

  /** Applies what waits until the end; what is at work then is finished. */
  async run(): Promise<void> {
    const { signal } = this.#settings
    for (let item = await this.#queue.first(); item; item = await this.#queue.first()) {
      const present = item
      this.#workingSince = this.#settings.clock.monotonicMs()
      try {
        await this.#untilDone(() => this.#process(present))
      } catch (error) {
        if (signal.aborted) return
        throw error
      }
      this.#workingSince = undefined
      this.#queue.done()
      this.#settings.moved()
    }
  }

  async #process(item: LaneItem): Promise<void> {
    switch (item.type) {
      case 'passed':
        this.#position = item.position
        return
      case 'fresh':
        return this.#prove(item)
      case 'reset':
        return this.#reset(item.reset)
      case 'piece': {
        const { piece } = item
        await this.follower.apply(piece)
        this.#settings.metrics.applied(piece, this.#settings.clock.now())
        if (piece.last) this.#position = piece.position
      }
    }
  }

  async #prove({ proof }: LaneItem & { readonly type: 'fresh' }): Promise<void> {
    if (
      this.#position === null ||
      this.#position.epoch !== proof.position.epoch ||
      this.#position.number < proof.position.number
    ) {
      this.#position = proof.position
    }
    this.#freshAsOf = proof.asOf
    this.follower.fresh?.(proof)
  }

  async #reset(reset: FeedReset): Promise<void> {
    this.#freshAsOf = -Infinity
    await this.follower.reset?.(reset)
    this.#settings.metrics.reset(reset.reason)
    this.#position = reset.position
  }

  /** Lets a durable follower without work store how far it is. */
  async pass(): Promise<void> {
    const position = this.#position
    if (!this.follower.passed || position === null || !this.#queue.isEmpty) return
    const { epoch, number } = this.#stored ?? {}
    if (epoch === position.epoch && number !== undefined && number >= position.number) return
    await this.follower.passed(position)
  }

  /** The same work again and again: nothing may be left out. */
  async #untilDone(work: () => Promise<unknown>): Promise<void> {
    const { clock, log, metrics, random, signal, retryBaseMs: baseMs, retryMaxMs: maxMs } = this.#settings
    for (let failures = 1; ; failures += 1) {
      try {
        await work()
        if (this.#trouble) log.info('a follower works again', { follower: this.name, failures: failures - 1 })
        this.#trouble = undefined
        return
      } catch (error) {
        signal.throwIfAborted()
        const delayMs = Math.max(fullJitter(failures, { baseMs, maxMs, random }), retryAfterMsOf(error))
        this.#trouble = { failures, lastError: reasonOf(error), since: this.#trouble?.since ?? clock.now() }
        metrics.retried()
        log.warn('a follower failed; it gets the same again', { follower: this.name, failures, delayMs, err: error })
        await clock.sleep(delayMs, signal)
      }
    }
  }

  health(): FollowerHealth {
    return {
      name: this.name,
      state: this.#trouble ? 'failing' : 'running',
      position: this.#position,
      stored: this.#stored,
      queuedChanges: this.#queue.changes,
      queuedBytes: this.#queue.bytes,
      holdsUp: this.#queue.isFull,
      workingMs: this.#workingSince === undefined ? 0 : this.#settings.clock.monotonicMs() - this.#workingSince,
      failures: this.#trouble?.failures ?? 0,
      lastError: this.#trouble?.lastError ?? null,
      failingSince: this.#trouble?.since ?? null,
      freshnessMs: this.freshnessMs,
    }
  }
}
