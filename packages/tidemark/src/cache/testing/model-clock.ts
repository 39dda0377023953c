import type { Clock } from '../../time/clock.js'

interface Sleeper {
  readonly atMs: number
  readonly wake: () => void
}

/** Lets others go first: who goes next is decided elsewhere. */
export type Step = (what: string) => Promise<void>

/** A clock that moves when it is told to, or when nothing else is left to happen. */
export class ModelClock implements Clock {
  #nowMs = 1_000_000
  readonly #sleepers = new Set<Sleeper>()

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper = {
        atMs: this.#nowMs + Math.max(0, ms),
        wake: () => {
          this.#sleepers.delete(sleeper)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason)
      })
    })
  }

  advance(ms: number): void {
    this.#nowMs += ms
    for (const sleeper of [...this.#sleepers].sort((a, b) => a.atMs - b.atMs)) if (sleeper.atMs <= this.#nowMs) sleeper.wake()
  }

  /** To the next moment at which somebody wakes. False where all are awake. */
  skip(): boolean {
    const next = Math.min(...[...this.#sleepers].map(({ atMs }) => atMs))
    if (!Number.isFinite(next)) return false
    this.advance(Math.max(0, next - this.#nowMs))
    return true
  }
}
