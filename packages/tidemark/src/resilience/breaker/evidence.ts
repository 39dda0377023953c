import type { Evidence } from './breaker-rules.js'

const bucketCount = 10

/** What ended within a sliding window, in ten buckets; the oldest leaves as a whole. */
export class EvidenceWindow implements Evidence {
  readonly #bucketMs: number
  readonly #calls = new Uint32Array(bucketCount)
  readonly #bad = new Uint32Array(bucketCount)
  /** The number of the bucket that is filled, counted from the clock's beginning. */
  #bucket = 0
  #sumCalls = 0
  #sumBad = 0
  #timeouts = 0

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / bucketCount
  }

  get calls(): number {
    return this.#sumCalls
  }

  get bad(): number {
    return this.#sumBad
  }

  get timeouts(): number {
    return this.#timeouts
  }

  /** Lets go of what is older than the window at `nowMs`. */
  slide(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs)
    if (bucket === this.#bucket) return
    const passed = Math.min(bucket - this.#bucket, bucketCount)
    if (passed === bucketCount) this.#timeouts = 0
    for (let n = 1; n <= passed; n++) {
      const at = (this.#bucket + n) % bucketCount
      this.#sumCalls -= this.#calls[at]!
      this.#sumBad -= this.#bad[at]!
      this.#calls[at] = 0
      this.#bad[at] = 0
    }
    this.#bucket = bucket
  }

  good(nowMs: number): void {
    this.slide(nowMs)
    this.#calls[this.#bucket % bucketCount]!++
    this.#sumCalls++
    this.#timeouts = 0
  }

  failed(nowMs: number, isTimeout: boolean): void {
    this.slide(nowMs)
    const at = this.#bucket % bucketCount
    this.#calls[at]!++
    this.#bad[at]!++
    this.#sumCalls++
    this.#sumBad++
    this.#timeouts = isTimeout ? this.#timeouts + 1 : 0
  }

  clear(): void {
    this.#calls.fill(0)
    this.#bad.fill(0)
    this.#sumCalls = 0
    this.#sumBad = 0
    this.#timeouts = 0
  }
}
