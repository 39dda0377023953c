/** Takes events from a source one by one, with a limit to the waiting: an event that was waited for in vain is not lost. */
import { setImmediate } from 'node:timers/promises'
import type { FeedEvent, Source } from '../../feed/feed.js'
import type { Position } from '../../feed/position.js'
import type { Clock } from '../../time/clock.js'

type Next = Promise<IteratorResult<FeedEvent>>

export class EventReader {
  readonly #source: Source
  readonly #clock: Clock
  #stop = new AbortController()
  #iterator: AsyncIterator<FeedEvent> | undefined
  #pending: Next | undefined

  constructor(source: Source, clock: Clock) {
    this.#source = source
    this.#clock = clock
  }

  /** The next event; undefined where none came in time. `from` is where reading begins, if it has not yet. */
  async next(from: Position | undefined, waitMs: number, signal: AbortSignal): Promise<FeedEvent | undefined> {
    signal.throwIfAborted()
    if (!this.#iterator) {
      this.#stop = new AbortController()
      this.#iterator = this.#source.events(this.#stop.signal, from)[Symbol.asyncIterator]()
    }
    this.#pending ??= this.#iterator.next()
    const result = await this.#within(this.#pending, waitMs, signal)
    if (result === undefined) return undefined
    this.#pending = undefined
    if (!result.done) return result.value
    this.#iterator = undefined
    return undefined
  }

  async #within(pending: Next, waitMs: number, signal: AbortSignal): Promise<IteratorResult<FeedEvent> | undefined> {
    if (waitMs <= 0) return Promise.race([pending, setImmediate(undefined)])
    const timer = new AbortController()
    const wait = this.#clock.sleep(waitMs, AbortSignal.any([timer.signal, signal])).then(
      () => undefined,
      (error: unknown) => {
        if (signal.aborted) throw error
        return undefined
      },
    )
    try {
      return await Promise.race([pending, wait])
    } finally {
      timer.abort()
      wait.catch(() => undefined)
    }
  }

  /** Gives up what was not taken; the next call reads again from its `from`. */
  async restart(): Promise<void> {
    const [iterator, pending] = [this.#iterator, this.#pending]
    this.#iterator = undefined
    this.#pending = undefined
    this.#stop.abort()
    await pending?.catch(() => undefined)
    await iterator?.return?.().catch(() => undefined)
  }
}
