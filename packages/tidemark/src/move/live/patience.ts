/** How long a switch tries to come close to the head of the changes before it gives up. */
import type { Clock } from '../../time/clock.js'

/** How many changes may be left to compare when a pause begins. */
export const mostLeft = 2_000n
/** A copy that is slower than the application's writes never gets there. */
const patienceMs = 120_000
/** So long a row may stay on record as different while everything else is done: one that was in flight is found equal at the next look. */
const differencePatienceMs = 10_000

export class Patience {
  readonly #clock: Clock
  readonly #endMs: number
  #differsSinceMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#endMs = clock.monotonicMs() + patienceMs
  }

  get isOver(): boolean {
    return this.#clock.monotonicMs() > this.#endMs
  }

  /** Given how many rows differ now; true where some have differed for too long. */
  differsToStay(differences: number): boolean {
    const now = this.#clock.monotonicMs()
    this.#differsSinceMs = differences === 0 ? undefined : (this.#differsSinceMs ?? now)
    return now - (this.#differsSinceMs ?? now) > differencePatienceMs
  }
}
