import type { Clock } from '../../../time/clock.js'

interface Run {
  readonly crashes: number
  readonly atMs: number
}

/** So often a worker has to have ended with an event before it begins by itself. */
const aloneFrom = 2
/** What ends its worker does so early: nothing else begins within this time of such a run, and it begins within this time of nothing else. */
const aloneMs = 1_000

/**
 * Which runs of this process may stand beside each other. Events that were running when a worker ended run one at a time, so that the
 * next end tells which of them it was. One that has been that one begins by itself, so that nobody else's fault counts as its own.
 */
export class Isolation {
  readonly #clock: Clock
  readonly #runs = new Set<Run>()
  #wantedAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Nothing may begin but what waits to be by itself. */
  get isClosed(): boolean {
    const nowMs = this.#clock.monotonicMs()
    // Whoever waits says so each time it is looked at, at least once a second.
    if (nowMs - this.#wantedAtMs < 2 * aloneMs) return true
    for (const { crashes, atMs } of this.#runs) if (crashes >= aloneFrom && nowMs - atMs < aloneMs) return true
    return false
  }

  /** Whether an event may begin with which workers have ended so often. */
  mayBegin(crashes: number): boolean {
    if (crashes === 0) return !this.isClosed
    const nowMs = this.#clock.monotonicMs()
    const runs = [...this.#runs]
    if (runs.some((run) => run.crashes > 0)) return false
    if (crashes < aloneFrom) return !this.isClosed
    if (runs.every(({ atMs }) => nowMs - atMs >= aloneMs)) return true
    this.#wantedAtMs = nowMs
    return false
  }

  /** Gives what is to be called at the end of the run. */
  begin(crashes: number): () => void {
    if (crashes >= aloneFrom) this.#wantedAtMs = Number.NEGATIVE_INFINITY
    const run = { crashes, atMs: this.#clock.monotonicMs() }
    this.#runs.add(run)
    return () => this.#runs.delete(run)
  }
}
