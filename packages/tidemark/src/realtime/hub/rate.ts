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

  /** Whether one more is allowed now, which then counts. `nowMs` is monotonic. */
  take(nowMs: number): boolean {
    const refill = ((nowMs - this.#atMs) * this.#max) / this.#perMs
    this.#left = Math.min(this.#max, this.#left + refill)
    this.#atMs = nowMs
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}
