import { reasonOf } from '../../errors.js'
import { silentLogger } from '../../observability/observability.js'
import { createAbsentRedis } from '../../redis/absent-redis.js'
import { systemClock } from '../../time/clock.js'
import { resolveWorkerSettings } from './worker-settings.js'
import type { Workers, WorkersOptions, WorkersState } from './workers.js'

type Open = (options: WorkersOptions) => Promise<Workers>

const lookEveryMs = 500

/**
 * Workers that go on without Redis: from its streams while it is there, from the rows once it has been away for a while, and back.
 *
 *   stream ── away for `rowsAfterMs` ──► rows ── up ──► stream
 *
 * What stands in a stream alone, and in no row, waits until Redis is back: later events of its entity may overtake it. Each change ends the
 * one kind before it begins the other, and the epoch of a partition keeps processes apart that see Redis differently.
 */
class FallbackWorkers implements Workers {
  readonly #options: WorkersOptions
  readonly #open: Open
  readonly #ending = new AbortController()
  #current: Workers
  #kind: 'stream' | 'rows' = 'stream'
  #awaySinceMs: number | undefined
  #watching: Promise<void>

  constructor(options: WorkersOptions, open: Open, first: Workers) {
    this.#options = options
    this.#open = open
    this.#current = first
    this.#watching = this.#watch(resolveWorkerSettings(options.settings).rowsAfterMs)
  }

  get state(): WorkersState {
    return this.#current.state
  }

  wake(): void {
    this.#current.wake()
  }

  idle(): Promise<void> {
    return this.#current.idle()
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#watching
    await this.#current.stop()
  }

  async #watch(rowsAfterMs: number): Promise<void> {
    const { clock = systemClock, log = silentLogger } = this.#options
    const { signal } = this.#ending
    while (!signal.aborted) {
      await clock.sleep(Math.min(lookEveryMs, rowsAfterMs), signal).catch(() => undefined)
      const wanted = this.#wanted(clock.monotonicMs(), rowsAfterMs)
      if (signal.aborted || wanted === this.#kind) continue
      try {
        await this.#change(wanted)
      } catch (error) {
        log.warn('workers could not be changed over; it is tried again', { to: wanted, reason: reasonOf(error) })
      }
    }
  }

  #wanted(nowMs: number, rowsAfterMs: number): 'stream' | 'rows' {
    if (this.#options.redis.state === 'up') {
      this.#awaySinceMs = undefined
      return 'stream'
    }
    this.#awaySinceMs ??= nowMs
    return nowMs - this.#awaySinceMs >= rowsAfterMs ? 'rows' : this.#kind
  }

  async #change(wanted: 'stream' | 'rows'): Promise<void> {
    const { connect: _streamsOnly, ...rest } = this.#options
    await this.#current.stop()
    this.#current = await this.#open(wanted === 'rows' ? { ...rest, redis: createAbsentRedis() } : this.#options)
    this.#kind = wanted
    const { log = silentLogger } = this.#options
    if (wanted === 'rows')
      log.warn('Redis is away: events are handled from their rows, perhaps before those that stand in its streams')
    else log.info('events are handled from the streams again')
  }
}

export const openFallbackWorkers = async (options: WorkersOptions, open: Open): Promise<Workers> =>
  new FallbackWorkers(options, open, await open(options))
