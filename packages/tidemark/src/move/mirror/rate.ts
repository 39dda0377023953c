import type { Clock } from '../../time/clock.js'

const windowMs = 1_000

/** How many things happen in a second, by the last full one. */
export class Rate {
  readonly #clock: Clock
  #since: number
  #count = 0
  #perSecond = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.monotonicMs()
  }

  add(count: number): void {
    this.#roll()
    this.#count += count
  }

  get perSecond(): number {
    this.#roll()
    return this.#perSecond
  }

  #roll(): void {
    const elapsedMs = this.#clock.monotonicMs() - this.#since
    if (elapsedMs < windowMs) return
    this.#perSecond = Math.round((this.#count * 1000) / elapsedMs)
    this.#count = 0
    this.#since = this.#clock.monotonicMs()
  }
}
