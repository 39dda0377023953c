import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Clock } from '../../../time/clock.js'
import type { Position } from '../../position.js'
import type { OutboxReader } from './outbox-reader.js'

/** Rows deleted in one transaction, so that none is long. */
const prunedAtOnce = 5_000
/** Pauses between confirmations: each is a small transaction of its own. */
const pauseMs = 200

/** Of another history a position says nothing. */
const covers = (done: Position | undefined, { epoch, number }: Position): boolean =>
  done?.epoch === epoch && done.number >= number

/** Tells the database what is done with, the latest only, and deletes what nobody needs any more. */
export class OutboxConfirmer {
  readonly #reader: OutboxReader
  readonly #clock: Clock
  readonly #log: Logger
  readonly #ended = new AbortController()
  #wanted: Position | undefined
  #done: Position | undefined
  #running: Promise<void> | undefined

  constructor(reader: OutboxReader, clock: Clock, log: Logger) {
    this.#reader = reader
    this.#clock = clock
    this.#log = log
  }

  add(position: Position): void {
    if (covers(this.#wanted, position)) return
    this.#wanted = position
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    for (let wanted = this.#waiting; wanted && !this.#ended.signal.aborted; wanted = this.#waiting) {
      await this.#write(wanted)
      await this.#clock.sleep(pauseMs, this.#ended.signal).catch(() => undefined)
    }
  }

  /** What is not written yet. */
  get #waiting(): Position | undefined {
    return this.#wanted && !covers(this.#done, this.#wanted) ? this.#wanted : undefined
  }

  async #write(position: Position): Promise<void> {
    try {
      await this.#reader.confirm(position)
      this.#done = position
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
    if (this.#waiting) await this.#write(this.#waiting)
  }
}
