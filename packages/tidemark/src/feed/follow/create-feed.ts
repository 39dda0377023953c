import { reasonOf, TidemarkError } from '../../errors.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { Source } from '../feed.js'
import type { Position } from '../position.js'
import { createFeedMetrics, type FollowerMetrics, noFollowerMetrics } from './feed-metrics.js'
import type { Feed, FeedHealth, FeedOptions, WaitOptions } from './follow.js'
import { FollowerLane } from './follower-lane.js'
import { Waiters } from './waiters.js'

interface Settings {
  readonly source: Source
  readonly from: Position | undefined
  readonly confirmEveryMs: number
  readonly storedPositions: () => Promise<readonly Position[]>
  readonly clock: Clock
  readonly log: Logger
}

/** How often a follower that has nothing to do is told how far the feed is. */
const passEveryMs = 5_000

/** The first of the positions; null where one is not known, or of another history. */
const leastOf = (positions: readonly (Position | null)[]): Position | null => {
  let least: Position | null = null
  for (const position of positions) {
    if (position === null || (least !== null && least.epoch !== position.epoch)) return null
    if (least === null || position.number < least.number) least = position
  }
  return least
}

class FollowedFeed implements Feed {
  readonly done: Promise<void>
  readonly #settings: Settings
  readonly #lanes: readonly FollowerLane[]
  readonly #measure: readonly FollowerMetrics[]
  readonly #waiters: Waiters
  readonly #stopping = new AbortController()
  #settle!: { readonly resolve: () => void; readonly reject: (error: unknown) => void }
  #state: FeedHealth['state'] = 'idle'
  #lastError: string | null = null
  #running: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #passedAt = 0

  constructor(
    settings: Settings,
    makeLanes: (signal: AbortSignal, moved: () => void) => readonly FollowerLane[],
    measure: readonly FollowerMetrics[],
  ) {
    this.#settings = settings
    this.#waiters = new Waiters(settings.clock)
    this.#lanes = makeLanes(this.#stopping.signal, () => this.#waiters.check())
    this.#measure = measure
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // Whoever does not look at it is told by health().
    this.done.catch(() => undefined)
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'idle') throw new TidemarkError('TM_INTERNAL', { reason: 'a feed is started once' })
    signal?.throwIfAborted()
    this.#state = 'running'
    signal?.addEventListener('abort', () => void this.stop(), { once: true })
    this.#running = this.#run(this.#stopping.signal)
  }

  async #run(signal: AbortSignal): Promise<void> {
    const working = this.#lanes.map((lane) => lane.run())
    const keeping = this.#keep(signal)
    try {
      await this.#read(signal)
      this.#state = 'stopped'
    } catch (error) {
      if (signal.aborted) this.#state = 'stopped'
      else this.#fail(error)
    }
    this.#stopping.abort(new TidemarkError('TM_FEED_STOPPED', {}))
    await Promise.allSettled([...working, keeping])
    await this.#confirm()
    if (this.#state !== 'failed') this.#settle.resolve()
  }

  #fail(error: unknown): void {
    this.#state = 'failed'
    this.#lastError = reasonOf(error)
    this.#settings.log.error('the feed has ended: its source gave up', { err: error })
    this.#waiters.end(error)
    this.#settle.reject(error)
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { source, from } = this.#settings
    await Promise.all(this.#lanes.map((lane) => lane.begin()))
    for await (const event of source.events(signal, from)) {
      await Promise.all(this.#lanes.map((lane) => lane.offer(event)))
    }
  }

  /** Confirms, and measures, as time passes. */
  async #keep(signal: AbortSignal): Promise<void> {
    const { clock, confirmEveryMs } = this.#settings
    while (!signal.aborted) {
      await clock.sleep(confirmEveryMs, signal).catch(() => undefined)
      if (signal.aborted) return
      await this.#letPass()
      await this.#confirm()
      this.#lanes.forEach((lane, index) => {
        this.#measure[index]?.observe(lane.health())
      })
    }
  }

  async #letPass(): Promise<void> {
    const { clock, log } = this.#settings
    if (clock.monotonicMs() - this.#passedAt < passEveryMs) return
    this.#passedAt = clock.monotonicMs()
    for (const lane of this.#lanes) {
      await lane.pass().catch((error: unknown) => {
        log.warn('a follower could not store how far it is', { follower: lane.name, err: error })
      })
    }
  }

  /** Confirms what all are done with; what a durable follower has not stored may be needed again. */
  async #confirm(): Promise<void> {
    const { source, storedPositions, log } = this.#settings
    try {
      const done = await Promise.all(this.#lanes.map((lane) => (lane.isDurable ? lane.readStored() : lane.position)))
      const least = leastOf(done)
      if (least === null) return
      const kept = (await storedPositions()).filter(({ epoch }) => epoch === least.epoch)
      source.confirm(leastOf([least, ...kept]) ?? least)
    } catch (error) {
      log.warn('nothing is confirmed to the source: a follower does not tell what it has stored', { err: error })
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const error = new TidemarkError('TM_FEED_STOPPED', {})
    this.#stopping.abort(error)
    await this.#running
    this.#waiters.end(error)
    await this.#settings.source.stop()
    if (this.#state === 'idle') this.#state = 'stopped'
    if (this.#state !== 'failed') this.#settle.resolve()
  }

  position(): Position | null {
    return leastOf(this.#lanes.map(({ position }) => position))
  }

  async waitFor(position: Position, { follower, timeoutMs = 5_000, signal }: WaitOptions = {}): Promise<void> {
    if (this.#stopping.signal.aborted) throw new TidemarkError('TM_FEED_STOPPED', {})
    return this.#waiters.wait(position, this.#named(follower), { timeoutMs, signal })
  }

  #named(follower: string | undefined): readonly FollowerLane[] {
    if (follower === undefined) return this.#lanes
    const lane = this.#lanes.find(({ name }) => name === follower)
    if (!lane) throw new TidemarkError('TM_INTERNAL', { reason: `no follower is named "${follower}"` })
    return [lane]
  }

  freshness(follower?: string): number {
    return Math.max(...this.#named(follower).map(({ freshnessMs }) => freshnessMs))
  }

  health(): FeedHealth {
    return { state: this.#state, lastError: this.#lastError, followers: this.#lanes.map((lane) => lane.health()) }
  }
}

/** Makes the feed of one process: what the source gives goes to every follower, in order, each thing until it is applied. */
export const createFeed = (options: FeedOptions): Feed => {
  const { source, followers, from, clock = systemClock, log = silentLogger, random = Math.random } = options
  const { maxQueuedBytes = 16 * 1024 ** 2, maxQueuedChanges = 20_000, retryBaseMs = 100, retryMaxMs = 30_000 } = options
  const { confirmEveryMs = 500, storedPositions = async () => [] } = options
  const names = followers.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new TidemarkError('TM_INTERNAL', { reason: `two followers are named "${twice}"` })
  if (followers.length === 0) throw new TidemarkError('TM_INTERNAL', { reason: 'a feed needs a follower' })

  const metricsOf = options.metrics ? createFeedMetrics(options.metrics) : () => noFollowerMetrics
  const measure = names.map(metricsOf)
  const shared = { maxQueuedBytes, maxQueuedChanges, retryBaseMs, retryMaxMs, clock, log, random }
  return new FollowedFeed(
    { source, from, confirmEveryMs, storedPositions, clock, log },
    (signal, moved) =>
      followers.map(
        (follower, index) =>
          new FollowerLane(follower, { ...shared, signal, moved, metrics: measure[index] ?? noFollowerMetrics }),
      ),
    measure,
  )
}
