import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import { within } from '../../../postgres/pool/within.js'
import type { Clock } from '../../../time/clock.js'
import type { OutboxReader } from './outbox-reader.js'

/**
 * The right to read under one name. It is renewed also while the consumer takes its time; whoever cannot renew it has lost it. Nothing wrong
 * comes of two that both think to have it: a batch is only begun by the one that the database says so of.
 */
export class OutboxLease {
  readonly #reader: OutboxReader
  readonly #leaseMs: number
  readonly #clock: Clock
  readonly #log: Logger
  #renewedAt = -Infinity
  #ended = new AbortController()
  #renewing: Promise<void> = Promise.resolve()

  constructor(reader: OutboxReader, leaseMs: number, clock: Clock, log: Logger) {
    this.#reader = reader
    this.#leaseMs = leaseMs
    this.#clock = clock
    this.#log = log
  }

  get held(): boolean {
    return !this.#ended.signal.aborted && this.#clock.monotonicMs() - this.#renewedAt < this.#leaseMs
  }

  /** Waits until it is ours. */
  async take(signal: AbortSignal): Promise<void> {
    await this.#end()
    const askedAt = () => this.#clock.monotonicMs()
    let at = askedAt()
    while (!(await this.#reader.take(this.#leaseMs))) {
      await this.#clock.sleep(this.#leaseMs / 8, signal)
      at = askedAt()
    }
    this.#renewedAt = at
    this.#ended = new AbortController()
    this.#renewing = this.#renew(this.#ended)
  }

  async #renew(ended: AbortController): Promise<void> {
    while (!ended.signal.aborted) {
      await this.#clock.sleep(this.#leaseMs / 4, ended.signal).catch(() => undefined)
      if (ended.signal.aborted) return
      const at = this.#clock.monotonicMs()
      try {
        if (!(await this.#reader.renew())) return ended.abort()
        this.#renewedAt = at
      } catch (error) {
        this.#log.debug('the lease of the outbox was not renewed', { reason: reasonOf(error) })
      }
    }
  }

  async #end(): Promise<void> {
    this.#ended.abort()
    // A server that does not answer is not waited for.
    await within(this.#clock, this.#leaseMs, this.#renewing)
  }

  /** Gives it back, so that another need not wait. */
  async stop(): Promise<void> {
    await this.#end()
    await this.#reader.release().catch((error: unknown) => {
      this.#log.debug('the lease of the outbox was not given back', { reason: reasonOf(error) })
    })
  }
}
