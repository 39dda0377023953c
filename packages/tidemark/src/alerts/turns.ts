import type { Clock } from '../time/clock.js'

export interface Turns {
  start(): void
  /** There is something to do: the next turn comes at once, or right after the one under way. */
  wake(): void
  stop(): Promise<void>
}

export interface TurnsOptions {
  readonly everyMs: number
  /** Never raises. */
  readonly work: () => Promise<unknown>
  readonly clock: Clock
}

/** Work that is done again and again, one turn at a time. */
export const createTurns = ({ everyMs, work, clock }: TurnsOptions): Turns => {
  const stopping = new AbortController()
  let nap = new AbortController()
  let isWoken = false
  let running: Promise<void> | undefined
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      isWoken = false
      await work()
      if (isWoken || stopping.signal.aborted) continue
      nap = new AbortController()
      await clock.sleep(everyMs, nap.signal).catch(() => undefined)
    }
  }
  const wake = (): void => {
    isWoken = true
    nap.abort()
  }
  return {
    wake,
    start: () => {
      running ??= run()
    },
    stop: async () => {
      stopping.abort()
      wake()
      await running
    },
  }
}
