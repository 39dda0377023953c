/** Allows so many in so long: a bucket that fills steadily. Two numbers for each client. */
export class Rate {
  readonly #max: number
  readonly #perMs: number
  #left: number
  #atMs = Number.NEGATIVE_INFINITY

  constructor(max: number, perMs: number) {
    this.#max = max
    this.#perMs = perMs
    this.#left = max
  }

  /** Whether so many more are allowed now, which then count. `nowMs` is monotonic. */
  take(nowMs: number, count = 1): boolean {
    const refill = ((nowMs - this.#atMs) * this.#max) / this.#perMs
    this.#left = Math.min(this.#max, this.#left + refill)
    this.#atMs = nowMs
    if (this.#left < count) return false
    this.#left -= count
    return true
  }
}
