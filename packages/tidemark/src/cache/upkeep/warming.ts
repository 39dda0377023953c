/** Loads what somebody will ask for: on start, and after an eviction where somebody is looking (R43, C56). */
import { reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { Clock } from '../../time/clock.js'
import type { CachePool, KeyPart } from '../cache.js'
import type { AnyEntry } from '../follow/cache-follower.js'

export interface WarmingOptions {
  readonly pool: CachePool
  readonly clock: Clock
  readonly log: Logger
}

type Params = Readonly<Record<string, KeyPart>>

/** Warming takes what is left over: so many loads at a time, and what waits beyond that is left out. */
const [atOnce, maxWaiting] = [2, 1000]

export class Warming {
  readonly #options: WarmingOptions
  /** By entry and key, so that a key that is evicted many times waits once. */
  readonly #waiting = new Map<string, { readonly entry: AnyEntry; readonly params: Params }>()
  #running = 0
  #stopped = false

  constructor(options: WarmingOptions) {
    this.#options = options
  }

  /** A change took the key away. */
  dropped(entry: AnyEntry, params: Params, _wasInMemory: boolean): void {
    if (!entry.definition.options.warm || this.#stopped || this.#waiting.size >= maxWaiting) return
    this.#waiting.set(entry.key(params), { entry, params })
    this.#go()
  }

  /** Loads what the entries name for the start. What fails is told, and loaded when it is asked for. */
  async start(entries: readonly AnyEntry[]): Promise<void> {
    const { pool, log } = this.#options
    for (const entry of entries) {
      const { warmOnStart } = entry.definition.options
      if (!warmOnStart || this.#stopped) continue
      try {
        const all = await pool.withClient((client) => warmOnStart(client))
        for (const params of all) {
          if (this.#stopped) return
          await entry.warm(params)
        }
      } catch (error) {
        log.warn('an entry of the cache could not be warmed', { entry: entry.name, reason: reasonOf(error) })
      }
    }
  }

  stop(): void {
    this.#stopped = true
    this.#waiting.clear()
  }

  #go(): void {
    while (this.#running < atOnce && this.#waiting.size > 0) {
      const [key, { entry, params }] = this.#waiting.entries().next().value!
      this.#waiting.delete(key)
      this.#running++
      void this.#warm(entry, params).finally(() => {
        this.#running--
        this.#go()
      })
    }
  }

  async #warm(entry: AnyEntry, params: Params): Promise<void> {
    try {
      if (await entry.definition.options.warm!(params)) await entry.warm(params)
    } catch (error) {
      this.#options.log.warn('an entry of the cache could not be warmed', { entry: entry.name, reason: reasonOf(error) })
    }
  }
}
