import type { Clock } from '../../../time/clock.js'

const keptMs = 3_600_000
const maxNames = 50_000

/**
 * The first join of a client that has just been made carries no higher number: realtime-js counts six until then, older ones and other
 * languages fewer. Where it makes several channels before it joins one, some more.
 */
const highestOfNewClient = 6
const highestOfBusyNewClient = 50

interface Seen {
  readonly ref: number
  readonly untilMs: number
}

/**
 * Tells who comes back from who comes first, as far as this process can. Clients number their messages for as long as they live, over all their
 * connections: one that goes on behind the last number of a channel that was cut off is the one that had it.
 */
export class Returns {
  readonly #clock: Clock
  readonly #seen = new Map<string, Seen>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The channel of this name was cut off when the client had come to this number. */
  cutOff(name: string, ref: number): void {
    this.#seen.delete(name)
    this.#seen.set(name, { ref, untilMs: this.#clock.monotonicMs() + keptMs })
    const [oldest] = this.#seen.size > maxNames ? this.#seen.keys() : []
    if (oldest !== undefined) this.#seen.delete(oldest)
  }

  /** Undefined where it cannot be told. `firstRef`: of the first join on this connection. */
  isBack(name: string, ref: number, firstRef: number): boolean | undefined {
    const seen = this.#seen.get(name)
    if (seen !== undefined && this.#clock.monotonicMs() < seen.untilMs && ref > seen.ref) return true
    if (!Number.isSafeInteger(firstRef)) return undefined
    if (firstRef <= highestOfNewClient) return false
    return firstRef > highestOfBusyNewClient ? true : undefined
  }
}
