import type { Clock } from './clock.js'

interface Deadline {
  readonly endsAtMs: number
  readonly onOver: () => void
}

/** Nobody takes a timer back: the one that is left when the last deadline is gone keeps the process no longer than this. */
const longestNapMs = 250

/** Deadlines that are all equally far, so that one timer is enough for them: one each may cost more than the work that they bound. */
export class Deadlines {
  readonly #clock: Clock
  readonly #timeoutMs: number
  /** In the order in which their time ends. */
  readonly #running = new Set<Deadline>()
  #isWatched = false

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** Calls `onOver` when the time is over, unless what this gives was called before. */
  begin(onOver: () => void): () => void {
    const deadline = { endsAtMs: this.#clock.monotonicMs() + this.#timeoutMs, onOver }
    if (deadline.endsAtMs !== Number.POSITIVE_INFINITY) {
      this.#running.add(deadline)
      if (!this.#isWatched) void this.#watch()
    }
    return () => this.#running.delete(deadline)
  }

  /** Who comes during a nap has at least as long. */
  async #watch(): Promise<void> {
    this.#isWatched = true
    for (let [first] = this.#running; first; [first] = this.#running) {
      const leftMs = first.endsAtMs - this.#clock.monotonicMs()
      if (leftMs > 0) await this.#clock.sleep(Math.min(leftMs, longestNapMs))
      else {
        this.#running.delete(first)
        first.onOver()
      }
    }
    this.#isWatched = false
  }
}
