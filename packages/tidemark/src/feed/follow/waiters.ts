import { TidemarkError } from '../../errors.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { formatPosition, type Position } from '../position.js'
import type { FollowerLane } from './follower-lane.js'

interface Waiter {
  readonly position: Position
  readonly lanes: readonly FollowerLane[]
  readonly settle: (error?: unknown) => void
}

export interface WaiterOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Those who wait until followers are somewhere. */
export class Waiters {
  readonly #waiting = new Set<Waiter>()
  readonly #clock: Clock

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  async wait(position: Position, lanes: readonly FollowerLane[], { timeoutMs, signal }: WaiterOptions): Promise<void> {
    signal?.throwIfAborted()
    const ended = new AbortController()
    const both = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal
    try {
      await new Promise<void>((resolve, reject) => {
        const waiter: Waiter = {
          position,
          lanes,
          settle: (error) => {
            this.#waiting.delete(waiter)
            if (error === undefined) resolve()
            else reject(error)
          },
        }
        this.#waiting.add(waiter)
        if (this.#look(waiter)) return
        this.#clock.sleep(timeoutMs, both).then(
          () => waiter.settle(this.#late(waiter, timeoutMs)),
          () => signal?.aborted && waiter.settle(signal.reason),
        )
      })
    } finally {
      ended.abort()
    }
  }

  #late({ position, lanes }: Waiter, timeoutMs: number): TidemarkError {
    const behind = lanes.find((lane) => !isPast(lane, position)) ?? lanes[0]
    const at = behind?.position
    return new TidemarkError('TM_FEED_TIMEOUT', {
      position: formatPosition(position),
      timeoutMs,
      follower: behind?.name ?? 'the feed',
      reached: at ? formatPosition(at) : 'an unknown position',
    })
  }

  /** Whether the waiter is served. */
  #look(waiter: Waiter): boolean {
    const { position, lanes, settle } = waiter
    const elsewhere = lanes.find((lane) => lane.position !== null && lane.position.epoch !== position.epoch)
    if (elsewhere)
      settle(new TidemarkError('TM_FEED_EPOCH', { expected: elsewhere.position?.epoch ?? '', found: position.epoch }))
    else if (lanes.every((lane) => isPast(lane, position))) settle()
    else return false
    return true
  }

  /** Positions have moved. */
  check(): void {
    for (const waiter of [...this.#waiting]) this.#look(waiter)
  }

  end(error: unknown): void {
    for (const waiter of [...this.#waiting]) waiter.settle(error)
  }
}

const isPast = ({ position }: FollowerLane, wanted: Position): boolean =>
  position !== null && position.epoch === wanted.epoch && position.number >= wanted.number
