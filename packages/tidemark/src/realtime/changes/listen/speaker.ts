import type { Logger } from '../../../observability/observability.js'
import type { Gap } from '../../realtime.js'
import type { ChangeRing } from '../keep/change-ring.js'
import type { ListenerState } from './listener-state.js'

export interface SpeakerOptions {
  readonly ring: ChangeRing
  readonly log: Logger
  readonly onGap: (gap: Gap) => void
  /** It has failed, and is told nothing any more. */
  readonly failed: (state: ListenerState) => void
}

/** Speaks with listeners. What goes wrong in one of them is nobody else's trouble. */
export class Speaker {
  readonly #options: SpeakerOptions
  /** Those that are to hear how far they were told. */
  readonly #touched = new Set<ListenerState>()
  #flushing = false

  constructor(options: SpeakerOptions) {
    this.#options = options
  }

  /** Somebody is to hear how far it was told, in the next turn. */
  get isBusy(): boolean {
    return this.#flushing
  }

  /** It hears how far it was told with the next flush. */
  touch(state: ListenerState): void {
    this.#touched.add(state)
  }

  forget(state: ListenerState): void {
    this.#touched.delete(state)
  }

  /** Tells of a gap in its place among the changes. */
  gap(state: ListenerState, gap: Gap): void {
    state.told(gap.position.number)
    this.#touched.add(state)
    this.say(state, gap)
  }

  say(state: ListenerState, gap: Gap): void {
    if (state.closed) return
    this.#options.onGap(gap)
    this.safely(state, () => state.listener.gap(gap))
  }

  fail(state: ListenerState, reason: string): void {
    if (state.closed) return
    const { failed, log } = this.#options
    failed(state)
    log.warn('a listener is told no changes any more', { role: state.beholder.role, reason })
    this.safely(state, () => state.listener.failed(reason))
  }

  safely(state: ListenerState, work: () => void): void {
    try {
      work()
    } catch (err) {
      this.#options.log.error('a listener of changes failed', { err })
      this.fail(state, 'it failed on what it was told')
    }
  }

  flushSoon(): void {
    if (this.#flushing || this.#touched.size === 0) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.flush()
    })
  }

  flush(): void {
    const { head } = this.#options.ring
    if (head) for (const state of this.#touched) this.safely(state, () => state.pass(head))
    this.#touched.clear()
  }
}
