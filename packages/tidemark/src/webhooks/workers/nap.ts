import type { Clock } from '../../time/clock.js'

/** A pause that can be cut short. One at a time. */
export interface Nap {
  /** Resolves after that long, when somebody wakes it, or at the end. Never rejects. */
  take(ms: number): Promise<void>
  wake(): void
}

export const createNap = (clock: Clock, ending: AbortSignal): Nap => {
  let wake: (() => void) | undefined
  return {
    take: async (ms) => {
      const napping = new AbortController()
      const end = (): void => napping.abort()
      wake = end
      ending.addEventListener('abort', end, { once: true })
      await clock.sleep(ms, napping.signal).catch(() => undefined)
      ending.removeEventListener('abort', end)
    },
    wake: () => wake?.(),
  }
}
