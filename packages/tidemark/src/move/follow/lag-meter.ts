/** How far following is behind, by when each number was first seen as the log's head. */
import type { Clock } from '../../time/clock.js'
import type { FollowLag } from './follow.js'

interface Sample {
  readonly head: bigint
  readonly seenAtMs: number
}

/** Beyond it, every second sample is forgotten: the answer gets coarser, never too small. */
const maxSamples = 1024

export class LagMeter {
  readonly #clock: Clock
  #samples: Sample[] = []
  #head = 0n
  #applied = 0n
  #lookedAtMs: number

  constructor(clock: Clock, applied: bigint) {
    this.#clock = clock
    this.#applied = applied
    this.#head = applied
    this.#lookedAtMs = clock.monotonicMs()
  }

  /** The log ended there just now. What is new has come since the last look. */
  see(head: bigint): void {
    const now = this.#clock.monotonicMs()
    if (head > this.#head) {
      this.#samples.push({ head, seenAtMs: this.#lookedAtMs })
      this.#head = head
      // Each head stands for what came before it, so of two the earlier moment is kept with the later head.
      if (this.#samples.length > maxSamples)
        this.#samples = this.#samples.flatMap((sample, i, all) =>
          i % 2 === 0 ? [{ head: all[i + 1]?.head ?? sample.head, seenAtMs: sample.seenAtMs }] : [],
        )
    }
    this.#lookedAtMs = now
  }

  applied(seq: bigint): void {
    this.#applied = seq
    const first = this.#samples.findIndex(({ head }) => head > seq)
    this.#samples.splice(0, first < 0 ? this.#samples.length : first)
  }

  get lag(): FollowLag {
    const behind = this.#head > this.#applied ? Number(this.#head - this.#applied) : 0
    const oldest = this.#samples[0]
    return { behind, behindMs: behind === 0 || !oldest ? 0 : Math.max(0, this.#clock.monotonicMs() - oldest.seenAtMs) }
  }
}
