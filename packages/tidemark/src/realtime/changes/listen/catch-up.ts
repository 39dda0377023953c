import type { Clock } from '../../../time/clock.js'
import type { ChangeRing, RingEntry } from '../keep/change-ring.js'
import { BindingIndex } from './binding-index.js'
import type { ListenerState } from './listener-state.js'

export interface CatchUpOptions {
  readonly ring: ChangeRing
  readonly clock: Clock
  /** Tells one entry to one listener, by an index of its bindings alone. */
  readonly tell: (state: ListenerState, own: BindingIndex<ListenerState>, entry: RingEntry) => void
  /** It has read all there is. */
  readonly caughtUp: (state: ListenerState) => void
  /** What it was to read next is gone. */
  readonly missed: (state: ListenerState) => void
  /** Its client has not read for too long. */
  readonly tooSlow: (state: ListenerState) => void
  /** Called when one that stood still may read on. */
  readonly resumed: () => void
  readonly signal: AbortSignal
}

/** What is read for one listener at a time, and how long all may read until others have their turn. */
const stepEntries = 2_000
const stepBytes = 256 * 1024
const stepMs = 10
/** After so long it is asked again whether its client reads. */
const stallMs = 20
/** Who has not read anything by then is not slow, but away. */
const maxStallMs = 30_000

/** Whether its client has read what it was told so far. */
export const hasRoom = ({ listener }: ListenerState): boolean => listener.hasRoom?.() ?? true

/** Listeners that read the ring, at the pace of their clients, before they hear of changes as they come. */
export class CatchUp {
  readonly #options: CatchUpOptions
  readonly #states = new Set<ListenerState>()
  /** Those whose clients have not read what they were told so far, and since when. */
  readonly #stalled = new Map<ListenerState, number>()
  #resuming = false

  constructor(options: CatchUpOptions) {
    this.#options = options
  }

  /** How many could read on at once. */
  get size(): number {
    return this.#states.size
  }

  get isIdle(): boolean {
    return this.#states.size === 0 && this.#stalled.size === 0
  }

  add(state: ListenerState): void {
    this.#states.add(state)
  }

  delete(state: ListenerState): void {
    this.#states.delete(state)
    this.#stalled.delete(state)
  }

  clear(): void {
    this.#states.clear()
    this.#stalled.clear()
  }

  /** Lets them read for a moment, each in its turn. */
  step(): void {
    const { clock } = this.#options
    const until = clock.monotonicMs() + stepMs
    for (const state of [...this.#states]) {
      // The last one comes first the next time.
      this.#states.delete(state)
      if (this.#read(state)) this.#states.add(state)
      if (clock.monotonicMs() > until) return
    }
  }

  /** True where it has to read on. */
  #read(state: ListenerState): boolean {
    const { ring, caughtUp, missed } = this.#options
    const from = state.replaysFrom
    if (state.closed || from === undefined) return false
    if (from < ring.oldest) {
      missed(state)
      return false
    }
    // What is still being judged will fill its client's buffer when it is told.
    if (state.isWaiting) return true
    if (!hasRoom(state)) {
      this.#stall(state)
      return false
    }
    state.replaysFrom = this.#readFrom(state, from)
    if (state.replaysFrom < ring.next) return true
    caughtUp(state)
    return false
  }

  #stall(state: ListenerState): void {
    this.#stalled.set(state, this.#options.clock.monotonicMs())
    if (!this.#resuming) void this.#resume()
  }

  async #resume(): Promise<void> {
    const { clock, signal, resumed } = this.#options
    this.#resuming = true
    while (this.#stalled.size > 0 && !signal.aborted) {
      await clock.sleep(stallMs, signal).catch(() => undefined)
      for (const [state, since] of this.#stalled) this.#lookAgain(state, since)
      resumed()
    }
    this.#resuming = false
  }

  #lookAgain(state: ListenerState, since: number): void {
    if (hasRoom(state)) {
      this.#stalled.delete(state)
      this.#states.add(state)
    } else if (this.#options.clock.monotonicMs() - since > maxStallMs) {
      this.#stalled.delete(state)
      this.#options.tooSlow(state)
    }
  }

  #readFrom(state: ListenerState, from: number): number {
    const { ring, tell } = this.#options
    const own = new BindingIndex<ListenerState>()
    for (const bound of state.bounds) own.add(bound)
    let sequence = from
    let bytes = 0
    let last: bigint | undefined
    for (let entry = ring.get(sequence); entry; entry = ring.get(sequence)) {
      const { number } = entry.change.position
      if (sequence - from >= stepEntries || bytes >= stepBytes || !hasRoom(state)) {
        state.within = number === last ? number : undefined
        return sequence
      }
      if (!state.closed && state.concerns(entry.change)) tell(state, own, entry)
      last = number
      bytes += entry.bytes
      sequence += 1
    }
    state.within = undefined
    return sequence
  }
}
