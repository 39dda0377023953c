import type { Clock } from '../../../time/clock.js'

interface Entry {
  readonly lsn: bigint
  readonly at: number
}

/** So many steps of the window are told apart; within one, the earlier confirmation waits for the later. */
const steps = 64

/**
 * What may be told to Postgres: once it knows that we are done with something, it can never give it again. So a confirmation counts only after
 * a while, in which whoever lost what was derived from it (a Redis that forgets) can have it once more (soundness 4).
 */
export class Confirmations {
  readonly #windowMs: number
  readonly #clock: Clock
  #waiting: Entry[] = []
  #latest: bigint
  #told: bigint

  constructor(lsn: bigint, windowMs: number, clock: Clock) {
    this.#windowMs = windowMs
    this.#clock = clock
    this.#latest = lsn
    this.#told = lsn
  }

  /** Everything before it is confirmed, the window aside. */
  get latest(): bigint {
    return this.#latest
  }

  /** Everything before `lsn` is done with. */
  add(lsn: bigint): void {
    if (lsn <= this.#latest) return
    this.#latest = lsn
    if (this.#windowMs === 0) {
      this.#told = lsn
      return
    }
    const at = this.#clock.monotonicMs()
    const last = this.#waiting.at(-1)
    const previous = this.#waiting.at(-2)
    // The last entry takes the new one in while it is close to the one before it; its own time moves on, so nothing counts too early.
    if (last && previous && last.at - previous.at < this.#windowMs / steps) this.#waiting[this.#waiting.length - 1] = { lsn, at }
    else this.#waiting.push({ lsn, at })
  }

  /** Before this, Postgres need keep nothing. */
  get releasable(): bigint {
    const until = this.#clock.monotonicMs() - this.#windowMs
    let passed = 0
    for (const { lsn, at } of this.#waiting) {
      if (at > until) break
      this.#told = lsn
      passed += 1
    }
    if (passed > 0) this.#waiting.splice(0, passed)
    return this.#told
  }
}
