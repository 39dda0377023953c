import type { Gap } from '../../realtime.js'
import type { RingEntry } from '../keep/change-ring.js'
import type { Match } from '../tell/deliver.js'
import type { Telling } from '../tell/told-change.js'
import type { Question } from './find-matches.js'
import type { ListenerState } from './listener-state.js'

/** A change, or what stands for it, and whom it waits for. */
export interface Waiting {
  readonly entry: RingEntry
  readonly telling: Telling | undefined
  /** In place of a change. */
  readonly gap: Gap | undefined
  readonly matches: readonly Match[]
  /** Empty once they are answered. */
  questions: readonly Question[]
  /** What it counts for in the bound; nothing for what is told again. */
  readonly bytes: number
}

/** What is asked about at once. */
const maxEntries = 1_000
const maxPairs = 100_000

/** What waits until it is known who may see it, in the order in which it is told to each. */
export class WaitingList {
  readonly #maxBytes: number
  #items: Waiting[] = []
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get size(): number {
    return this.#items.length
  }

  /** More than may be kept. */
  get isOver(): boolean {
    return this.#bytes > this.#maxBytes
  }

  push(waiting: Waiting): void {
    this.#items.push(waiting)
    this.#bytes += waiting.bytes
  }

  /** Takes the first ones out, as many as are asked about together. */
  cut(): readonly Waiting[] {
    let pairs = 0
    let count = 0
    for (const { matches } of this.#items) {
      if (count >= maxEntries || (count > 0 && pairs + matches.length > maxPairs)) break
      pairs += matches.length
      count += 1
    }
    const batch = this.#items.splice(0, count)
    for (const { bytes } of batch) this.#bytes -= bytes
    return batch
  }

  /** They come first again. */
  putBack(batch: readonly Waiting[]): void {
    this.#items = [...batch, ...this.#items]
    for (const { bytes } of batch) this.#bytes += bytes
  }

  /** Empties it, and gives those who waited. */
  clear(): ReadonlySet<ListenerState> {
    const states = new Set<ListenerState>()
    for (const { matches } of this.#items) for (const { state } of matches) states.add(state)
    this.#items = []
    this.#bytes = 0
    return states
  }
}
