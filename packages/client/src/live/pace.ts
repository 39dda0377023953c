/** Calls at once when it has been quiet, and otherwise so often and no more. */
export class Pace {
  readonly #everyMs: number
  readonly #work: () => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #lastMs = Number.NEGATIVE_INFINITY

  constructor(everyMs: number, work: () => void) {
    this.#everyMs = everyMs
    this.#work = work
  }

  request(): void {
    if (this.#timer !== undefined) return
    const waitMs = Math.max(0, this.#lastMs + this.#everyMs - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#lastMs = performance.now()
      this.#work()
    }, waitMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
