import type { Clock } from '../../../time/clock.js'
import type { EntryId } from '../stream/entry-id.js'

/** Published within one moment. */
interface Span {
  readonly firstAt: number
  lastAt: number
  number: bigint
  id: EntryId
  bytes: number
}

export interface ReplayWindowOptions {
  readonly windowMs: number
  readonly maxBytes: number
  readonly clock: Clock
}

const spans = 60

/**
 * Remembers roughly when what was published: the source may forget only what is acknowledged and older than the window (S4), and the stream
 * keeps the window, within its bytes.
 */
export class ReplayWindow {
  readonly #options: ReplayWindowOptions
  readonly #spanMs: number
  #kept: Span[] = []
  #bytes = 0

  constructor(options: ReplayWindowOptions) {
    this.#options = options
    this.#spanMs = options.windowMs / spans
  }

  /** Everything up to `number` is acknowledged; the newest entry is `id`. */
  acknowledged(number: bigint, id: EntryId, bytes: number): void {
    const now = this.#options.clock.monotonicMs()
    this.#bytes += bytes
    const newest = this.#kept.at(-1)
    if (newest && now - newest.firstAt < this.#spanMs) {
      newest.lastAt = now
      newest.number = number
      newest.id = id
      newest.bytes += bytes
      return
    }
    this.#kept.push({ firstAt: now, lastAt: now, number, id, bytes })
  }

  /** As if nothing had been published. */
  clear(): void {
    this.#kept = []
    this.#bytes = 0
  }

  /**
   * What has left the window since the last call: `number` may be confirmed, entries below `id` may be trimmed. Where bytes are short, entries
   * go that the source can still give again.
   */
  pass(): { readonly confirmed: bigint | undefined; readonly trimmed: EntryId | undefined } {
    const { windowMs, maxBytes, clock } = this.#options
    const now = clock.monotonicMs()
    let confirmed: bigint | undefined
    let trimmed: EntryId | undefined
    for (let oldest = this.#kept[0]; oldest && now - oldest.lastAt >= windowMs; oldest = this.#kept[0]) {
      confirmed = oldest.number
      trimmed = oldest.id
      this.#bytes -= oldest.bytes
      this.#kept.shift()
    }
    for (const span of this.#kept.slice(0, -1)) {
      if (this.#bytes <= maxBytes) break
      trimmed = span.id
      this.#bytes -= span.bytes
      span.bytes = 0
    }
    return { confirmed, trimmed }
  }
}
