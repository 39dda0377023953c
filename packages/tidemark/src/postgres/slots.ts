import type { Clock } from '../time/clock.js'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface TakeOptions {
  readonly timeoutMs: number
  /** Makes the error of a wait that took too long. */
  readonly onTimeout: () => Error
  readonly signal?: AbortSignal | undefined
}

/** A counting semaphore: at most `max` at a time, the others in the order in which they came. */
export class Slots {
  readonly #max: number
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  #taken = 0
  #closed: (() => Error) | undefined
  #idle: (() => void)[] = []

  constructor(max: number, clock: Clock) {
    this.#max = max
    this.#clock = clock
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

  async take({ timeoutMs, onTimeout, signal }: TakeOptions): Promise<void> {
    signal?.throwIfAborted()
    if (this.#closed) throw this.#closed()
    if (this.#waiters.size === 0 && this.tryTake()) return
    await this.#wait(timeoutMs, onTimeout, signal)
  }

  #wait(timeoutMs: number, onTimeout: () => Error, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = new AbortController()
      const settle = (act: () => void) => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener('abort', onAbort)
        timer.abort()
        act()
      }
      const waiter: Waiter = { resolve: () => settle(resolve), reject: (error) => settle(() => reject(error)) }
      const onAbort = () => waiter.reject(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
      this.#clock.sleep(timeoutMs, timer.signal).then(
        () => waiter.reject(onTimeout()),
        () => undefined,
      )
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
