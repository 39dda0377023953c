import { reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'

/** What goes on beside the loops. What it raises is logged. */
export class Background {
  readonly #log: Logger
  readonly #running = new Set<Promise<void>>()

  constructor(log: Logger) {
    this.#log = log
  }

  add(work: Promise<void>): void {
    const tracked = work.catch((error: unknown) => this.#log.warn('a partition is in trouble', { reason: reasonOf(error) }))
    this.#running.add(tracked)
    void tracked.finally(() => this.#running.delete(tracked))
  }

  async ended(): Promise<void> {
    await Promise.allSettled(this.#running)
  }
}
