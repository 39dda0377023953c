import type { Redis } from '../../../redis/redis.js'
import type { Clock } from '../../../time/clock.js'
import { compareIds, type EntryId } from '../stream/entry-id.js'
import { readCurrent, readNewestBeat } from '../stream/stream-reading.js'

export interface Heard {
  /** Whether a beat was heard at all. */
  readonly alive: boolean
  /** Since the last new beat, or since it could be heard. */
  readonly silentMs: number
  /** Since Redis answered last. */
  readonly deafMs: number
  /** The reader has said that it goes. */
  readonly bye: boolean
}

/** Listens for the reader's beats by asking, so that it also hears the first beat of a stream that this node does not tail yet. */
export class Watch {
  readonly #redis: Redis
  readonly #scope: string
  readonly #clock: Clock
  #newest: { readonly stream: string; readonly id: EntryId } | undefined
  /** False until Redis has answered, and again while it does not: what stands there then may be long over. */
  #listening = false
  #alive = false
  #bye = false
  #heardAt: number
  #answeredAt: number

  constructor(redis: Redis, scope: string, clock: Clock) {
    this.#redis = redis
    this.#scope = scope
    this.#clock = clock
    this.#heardAt = clock.monotonicMs()
    this.#answeredAt = this.#heardAt
  }

  async listen(): Promise<Heard> {
    try {
      await this.#ask()
    } catch {
      // Silence of Redis says nothing of the reader.
      this.#listening = false
      this.#alive = false
    }
    const now = this.#clock.monotonicMs()
    return { alive: this.#alive, silentMs: now - this.#heardAt, deafMs: now - this.#answeredAt, bye: this.#bye }
  }

  async #ask(): Promise<void> {
    const stream = (await readCurrent(this.#redis, this.#scope))?.stream
    const beat = stream === undefined ? undefined : await readNewestBeat(this.#redis, stream)
    this.#answeredAt = this.#clock.monotonicMs()
    if (!this.#listening) this.#heardAt = this.#answeredAt
    if (stream !== undefined && beat && this.#isNew(stream, beat.id)) {
      this.#newest = { stream, id: beat.id }
      this.#bye = beat.bye
      if (this.#listening) {
        this.#alive = true
        this.#heardAt = this.#answeredAt
      }
    }
    this.#listening = true
  }

  #isNew(stream: string, id: EntryId): boolean {
    return this.#newest?.stream !== stream || compareIds(id, this.#newest.id) > 0
  }
}
