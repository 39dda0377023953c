import type { FeedEvent } from '../../feed.js'

/** Events on their way to a consumer that may be slow; the far end cannot be held back. */
export interface EventQueue {
  /** False where there is no room; nothing is kept then. */
  push(event: FeedEvent): boolean
  /** Drops what waits. */
  clear(): void
  /** The next event; undefined once the signal is aborted. */
  next(): Promise<FeedEvent | undefined>
}

export const createEventQueue = (maxLength: number, signal: AbortSignal): EventQueue => {
  let events: FeedEvent[] = []
  let wake = (): void => {}
  signal.addEventListener('abort', () => wake(), { once: true })
  return {
    push: (event) => {
      if (events.length >= maxLength) return false
      events.push(event)
      wake()
      return true
    },
    clear: () => {
      events = []
    },
    next: async () => {
      while (events.length === 0 && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return signal.aborted ? undefined : events.shift()
    },
  }
}
