/** What a cache does beside its reads, from the time it has a feed: warms, tidies, compares, reports, and takes part in linearizable writes. */
import type { Logger, Signals } from '../../observability/observability.js'
import type { Redis } from '../../redis/redis.js'
import type { Clock } from '../../time/clock.js'
import type { CachePool } from '../cache.js'
import type { OpenEntries } from '../entry/open-entries.js'
import type { NodeReport } from './cache-report.js'
import { startReporting } from './node-reports.js'
import { Sampler } from './sampler.js'
import { Warming } from './warming.js'

export interface UpkeepOptions extends Pick<OpenEntries, 'entries' | 'feed' | 'membership' | 'intents'> {
  /** Some entry is linearizable. */
  readonly isLinear: boolean
  readonly pool: CachePool
  /** Null where values are shared with nobody. */
  readonly redis: Redis | null
  readonly prefix: string
  readonly sampleEveryMs: number
  readonly report: () => NodeReport
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly signals: Signals | undefined
}

/** Warming on start waits so long for Redis. */
const shareWithinMs = 5000
const tidyEveryMs = 10_000
const sweptAtOnce = 10_000

export class Upkeep {
  readonly warming: Warming
  readonly #options: UpkeepOptions
  readonly #sampler: Sampler
  readonly #stopping = new AbortController()
  readonly #running: Promise<unknown>[] = []
  #reporting: { stop(): Promise<void> } | undefined

  constructor(options: UpkeepOptions) {
    const { entries, feed, pool, redis, prefix, sampleEveryMs: everyMs, clock, random, log, signals } = options
    this.#options = options
    this.warming = new Warming({ pool, clock, log })
    this.#sampler = new Sampler({ entries: [...entries.values()], feed, redis, prefix, everyMs, clock, random, log, signals })
  }

  start(): void {
    const { entries, isLinear, membership, intents, redis, prefix, clock, report } = this.#options
    this.#running.push(this.#tidy())
    if (isLinear) {
      membership.start()
      this.#running.push(intents.start())
    }
    this.#running.push(this.#untilFresh().then(() => this.warming.start([...entries.values()])))
    this.#sampler.start()
    if (redis) this.#reporting ??= startReporting({ redis, prefix, clock, report })
  }

  async stop(): Promise<void> {
    const { isLinear, membership, intents } = this.#options
    this.#stopping.abort()
    this.warming.stop()
    this.#sampler.stop()
    await this.#reporting?.stop()
    if (isLinear) await membership.stop()
    await intents.stop()
    await Promise.allSettled(this.#running)
  }

  async #tidy(): Promise<void> {
    const { entries, intents, clock } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await clock.sleep(tidyEveryMs, signal).catch(() => undefined)
      if (!signal.aborted) await intents.tidy().catch(() => undefined)
      for (const { memory } of entries.values()) memory?.sweep(clock.monotonicMs(), sweptAtOnce)
    }
  }

  /** What is loaded before is not kept; and not shared before Redis may be asked, which is not waited for long. */
  async #untilFresh(): Promise<void> {
    const { feed, redis, clock } = this.#options
    const { signal } = this.#stopping
    const endMs = clock.monotonicMs() + shareWithinMs
    const isReady = () => feed.isFresh && (redis === null || feed.redisEpoch !== null || clock.monotonicMs() > endMs)
    while (!isReady() && !signal.aborted) await clock.sleep(20, signal).catch(() => undefined)
  }
}
