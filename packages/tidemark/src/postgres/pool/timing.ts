import type { Timing } from '../postgres.js'

/** Adds durations up. */
export class Stopwatch {
  #count = 0
  #sumMs = 0
  #maxMs = 0

  add(durationMs: number): void {
    this.#count += 1
    this.#sumMs += durationMs
    this.#maxMs = Math.max(this.#maxMs, durationMs)
  }

  read(): Timing {
    return { count: this.#count, sumMs: this.#sumMs, maxMs: this.#maxMs }
  }
}
