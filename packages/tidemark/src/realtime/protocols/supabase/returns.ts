import type { Clock } from '../../../time/clock.js'

const keptMs = 3_600_000
const maxNames = 50_000

/** The first join of a client that has just been made carries no higher number, however many channels it makes before it joins one. */
const highestOfNewClient = 50

interface Seen {
  readonly number: number
  readonly untilMs: number
}

/**
 * Tells who comes back for sure, as far as this process can. Clients number their messages for as long as they live, over all their connections:
 * one that goes on behind the last number of a channel that was cut off is the one that had it. Of whoever else comes nothing is sure: a young
 * client counts as low as a new one.
 */
export class Returns {
  readonly #clock: Clock
  readonly #seen = new Map<string, Seen>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The channel of this name was cut off when the client had come to this number. */
  cutOff(name: string, number: number): void {
    this.#seen.delete(name)
    this.#seen.set(name, { number, untilMs: this.#clock.monotonicMs() + keptMs })
    const [oldest] = this.#seen.size > maxNames ? this.#seen.keys() : []
    if (oldest !== undefined) this.#seen.delete(oldest)
  }

  /** Undefined where it cannot be told. `first`: the number of the first join on this connection. */
  isBack(name: string, number: number, first: number): true | undefined {
    const seen = this.#seen.get(name)
    if (seen !== undefined && this.#clock.monotonicMs() < seen.untilMs && number > seen.number) return true
    return first > highestOfNewClient ? true : undefined
  }
}
