import { isTidemarkError } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import type { Redis, RedisState } from '../../redis/redis.js'
import type { Bus, BusListener } from './bus.js'

export interface RedisBusOptions {
  readonly redis: Redis
  readonly channel: string
  readonly log: Logger
  /** Of the connection, where it is the bus' own. */
  readonly stop?: () => Promise<void>
}

/** Large frames, and a thread that was busy, may take a while: that is no reason to give the connection up. */
const sendWithinMs = 5_000

/**
 * One channel of Redis. All nodes hear every message and pass over what nobody of theirs listens to: that costs a node some microseconds,
 * while a channel for each topic costs a round trip for each that comes or goes, and a hole until Redis has answered.
 */
class RedisBus implements Bus {
  readonly #options: RedisBusOptions
  #listener: BusListener | undefined
  #unsubscribe: (() => Promise<void>) | undefined
  #opening: Promise<void> | undefined
  #unwatch: (() => void) | undefined
  #stopped = false

  constructor(options: RedisBusOptions) {
    this.#options = options
  }

  get open(): boolean {
    return this.#unsubscribe !== undefined && this.#options.redis.state === 'up'
  }

  async start(listener: BusListener): Promise<void> {
    this.#listener = listener
    this.#unwatch = this.#options.redis.onState((state) => this.#changed(state))
    await this.#subscribe()
  }

  retry(): void {
    if (this.#unsubscribe === undefined) void this.#subscribe()
  }

  async send(frame: Buffer): Promise<void> {
    await this.#options.redis.command(['PUBLISH', this.#options.channel, frame], { timeoutMs: sendWithinMs })
  }

  async now(): Promise<number> {
    try {
      const [seconds, micros] = await this.#options.redis.command<string[]>(['TIME'])
      return Number(seconds) * 1e6 + Number(micros)
    } catch (error) {
      // Not everybody may ask: the clocks of servers are about the same.
      if (isTidemarkError(error, 'TM_REDIS_COMMAND')) return Date.now() * 1_000
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#unwatch?.()
    await this.#opening
    await this.#unsubscribe?.()
    this.#unsubscribe = undefined
    await this.#options.stop?.()
  }

  #changed(state: RedisState): void {
    // Once subscribed, the connection takes its channels up again by itself.
    if (state !== 'up') this.#listener?.closed()
    else if (this.#unsubscribe) this.#listener?.opened()
    else void this.#subscribe()
  }

  #subscribe(): Promise<void> {
    this.#opening ??= this.#join().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #join(): Promise<void> {
    const { redis, channel, log } = this.#options
    if (redis.state !== 'up' || this.#stopped) return
    try {
      this.#unsubscribe = await redis.subscribeBytes([channel], (frame) => this.#listener?.hear(frame))
      this.#listener?.opened()
    } catch (err) {
      log.debug('the channel of the nodes cannot be heard yet', { err })
    }
  }
}

export const createRedisBus = (options: RedisBusOptions): Bus => new RedisBus(options)
