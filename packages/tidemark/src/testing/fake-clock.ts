import type { Clock } from '../time/clock.js'

/** A clock that stands still until it is told otherwise. */
export interface FakeClock extends Clock {
  /**
   * Moves time on. Who sleeps until a moment on the way wakes at that very moment, in order, and what they do then
   * (also to sleep again) has happened before time goes on.
   */
  advance(ms: number): Promise<void>
  /** Moves the wall time alone, as a correction of the system's clock does. */
  shiftWall(ms: number): void
  /** How many are asleep. */
  readonly sleeping: number
}

interface Sleeper {
  readonly wakeAt: number
  readonly wake: () => void
}

/** Lets everything run that waits for nothing but its turn, input and output of the process included. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Makes a {@link FakeClock} whose wall time starts at `startAt` (milliseconds since 1970) and whose monotonic time starts at 0. */
export const createFakeClock = (startAt = Date.UTC(2024, 0, 1)): FakeClock => {
  let monotonic = 0
  let wallOffset = startAt
  const sleepers = new Set<Sleeper>()

  const next = (until: number): Sleeper | undefined => {
    let first: Sleeper | undefined
    for (const sleeper of sleepers) if (sleeper.wakeAt <= until && sleeper.wakeAt < (first?.wakeAt ?? Infinity)) first = sleeper
    return first
  }

  return {
    now: () => wallOffset + monotonic,
    monotonicMs: () => monotonic,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const leave = () => {
          sleepers.delete(sleeper)
          signal?.removeEventListener('abort', abort)
        }
        const abort = () => {
          leave()
          reject(signal?.reason)
        }
        const sleeper: Sleeper = {
          wakeAt: monotonic + Math.max(0, ms),
          wake: () => {
            leave()
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', abort, { once: true })
      }),
    advance: async (ms) => {
      const end = monotonic + ms
      await settle()
      for (let sleeper = next(end); sleeper; sleeper = next(end)) {
        monotonic = Math.max(monotonic, sleeper.wakeAt)
        sleeper.wake()
        await settle()
      }
      monotonic = end
    },
    shiftWall: (ms) => {
      wallOffset += ms
    },
    get sleeping() {
      return sleepers.size
    },
  }
}
