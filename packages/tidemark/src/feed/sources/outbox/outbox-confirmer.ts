import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Clock } from '../../../time/clock.js'
import type { OutboxReader } from './outbox-reader.js'

/** Rows deleted in one transaction, so that none is long. */
const prunedAtOnce = 5_000
/** Pauses between confirmations: each is a small transaction of its own. */
const pauseMs = 200

/** Tells the database what is done with, the latest only, and deletes what nobody needs any more. */
export class OutboxConfirmer {
  readonly #reader: OutboxReader
  readonly #clock: Clock
  readonly #log: Logger
  readonly #ended = new AbortController()
  #wanted = -1n
  #done = -1n
  #running: Promise<void> | undefined

  constructor(reader: OutboxReader, clock: Clock, log: Logger) {
    this.#reader = reader
    this.#clock = clock
    this.#log = log
  }

  add(number: bigint): void {
    if (number <= this.#wanted) return
    this.#wanted = number
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    while (this.#done < this.#wanted && !this.#ended.signal.aborted) {
      await this.#write()
      await this.#clock.sleep(pauseMs, this.#ended.signal).catch(() => undefined)
    }
  }

  async #write(): Promise<void> {
    const number = this.#wanted
    try {
      await this.#reader.confirm(number)
      this.#done = number
      while ((await this.#reader.prune(prunedAtOnce)) === prunedAtOnce && !this.#ended.signal.aborted);
    } catch (error) {
      // What is not confirmed is only given once more; the next confirmation brings it along.
      this.#log.warn('the outbox could not be confirmed', { reason: reasonOf(error) })
    }
  }

  /** Writes what is still wanted. */
  async stop(): Promise<void> {
    this.#ended.abort()
    await this.#running
    if (this.#done < this.#wanted) await this.#write()
  }
}
