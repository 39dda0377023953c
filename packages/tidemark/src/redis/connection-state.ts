import type { TidemarkError } from '../errors.js'
import type { Logger, Signals } from '../observability/observability.js'
import type { CommandOptions, RedisState } from './redis.js'
import { renewed, unreachable } from './redis-error.js'

interface ConnectionStateOptions {
  readonly target: string
  readonly log: Logger
  readonly signals: Signals | undefined
}

/** Whether one connection is up, why it is not, and who wants to know. Each change is told once. */
export class ConnectionState {
  readonly #options: ConnectionStateOptions
  readonly #listeners = new Set<(state: RedisState) => void>()
  #state: 'up' | 'down' = 'down'
  #announced = false
  #whyDown: TidemarkError | undefined

  constructor(options: ConnectionStateOptions) {
    this.#options = options
  }

  get current(): 'up' | 'down' {
    return this.#state
  }

  get whyDown(): TidemarkError | undefined {
    return this.#whyDown
  }

  /** Raises the signal's reason, and why it is down. */
  throwUnlessUp({ signal }: CommandOptions): void {
    signal?.throwIfAborted()
    if (this.#state === 'up') return
    const why = this.#whyDown
    throw why ? renewed(why) : unreachable(this.#options.target, 'not connected yet')
  }

  listen(listener: (state: RedisState) => void): () => void {
    const own = (state: RedisState) => listener(state)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  up(): void {
    this.#whyDown = undefined
    if (this.#state === 'up') return
    const { target, log, signals } = this.#options
    log.info('connected', { target })
    // The first connection is no news; the return of a lost one is.
    if (this.#announced) signals?.raise({ name: 'redis.up', subject: target, message: `Redis at ${target} answers again.` })
    this.#announced = true
    this.#change('up')
  }

  down(why: TidemarkError): void {
    this.#whyDown = why
    if (this.#state === 'down' && this.#announced) return
    const { target, log, signals } = this.#options
    log.warn('not reachable; going on without it', { target, reason: why.message })
    signals?.raise({ name: 'redis.down', subject: target, message: why.message })
    this.#announced = true
    this.#change('down')
  }

  /** Down for good and on purpose: nothing to announce. */
  stopped(why: TidemarkError): void {
    this.#whyDown = why
    this.#change('down')
    this.#listeners.clear()
  }

  #change(state: 'up' | 'down'): void {
    if (this.#state === state) return
    this.#state = state
    for (const listener of this.#listeners) {
      try {
        listener(state)
      } catch (err) {
        this.#options.log.error('a listener to the state failed', { err })
      }
    }
  }
}
