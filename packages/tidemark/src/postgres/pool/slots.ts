import type { Clock } from '../../time/clock.js'
import { Deadlines } from '../../time/deadlines.js'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface SlotsOptions {
  readonly max: number
  /** How long anybody waits. */
  readonly timeoutMs: number
  /** Makes the error of a wait that took too long. */
  readonly onTimeout: () => Error
  readonly clock: Clock
}

/** A counting semaphore: at most `max` at a time, the others in the order in which they came. */
export class Slots {
  readonly #max: number
  readonly #onTimeout: () => Error
  readonly #deadlines: Deadlines
  readonly #waiters = new Set<Waiter>()
  #taken = 0
  #closed: (() => Error) | undefined
  #idle: (() => void)[] = []

  constructor({ max, timeoutMs, onTimeout, clock }: SlotsOptions) {
    this.#max = max
    this.#onTimeout = onTimeout
    this.#deadlines = new Deadlines(clock, timeoutMs)
  }

  get taken(): number {
    return this.#taken
  }

  get waiting(): number {
    return this.#waiters.size
  }

  /** Takes a slot if one is free. */
  tryTake(): boolean {
    if (this.#closed || this.#taken >= this.#max) return false
    this.#taken += 1
    return true
  }

  /** Takes a slot, or waits for one. Raises the signal's reason, and what `onTimeout` makes. */
  async take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#closed) throw this.#closed()
    if (this.#waiters.size === 0 && this.tryTake()) return
    await this.#wait(signal)
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener('abort', onAbort)
        takeBack()
      }
      const waiter: Waiter = {
        resolve: () => {
          leave()
          resolve()
        },
        reject: (error) => {
          leave()
          reject(error)
        },
      }
      const takeBack = this.#deadlines.begin(() => waiter.reject(this.#onTimeout()))
      const onAbort = () => waiter.reject(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
    })
  }

  /** Gives a slot back: to the one who waited longest, if any. */
  give(): void {
    const [next] = this.#waiters
    if (next) {
      next.resolve()
      return
    }
    this.#taken -= 1
    if (this.#taken > 0) return
    for (const resolve of this.#idle) resolve()
    this.#idle = []
  }

  /** Refuses whoever waits or comes. */
  close(error: () => Error): void {
    this.#closed = error
    for (const waiter of [...this.#waiters]) waiter.reject(error())
  }

  /** Resolves once every slot is back. */
  whenIdle(): Promise<void> {
    return this.#taken === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }
}
