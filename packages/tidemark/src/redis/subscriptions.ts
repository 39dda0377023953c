import type { Redis as Ioredis } from 'ioredis'
import type { Logger } from '../observability/observability.js'
import { withTimeout } from '../resilience/with-timeout.js'
import { closeClient } from './close-client.js'
import type { BytesListener } from './redis.js'

interface SubscriptionsOptions {
  readonly open: () => Ioredis
  readonly log: Logger
  readonly connectTimeoutMs: number
}

/** Listeners to channels, on a connection of their own that exists from the first subscription on. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #listeners = new Map<string, Set<BytesListener>>()
  #client: Ioredis | undefined
  /** Joining and leaving go one after the other: who joins a channel second must not return before it is subscribed. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  async add(channels: readonly string[], listener: BytesListener): Promise<() => Promise<void>> {
    // A function of its own, so that one listener may subscribe twice.
    const own: BytesListener = (message, channel) => listener(message, channel)
    await this.#next(() => this.#join(channels, own))
    return () => this.#next(() => this.#leave(channels, own))
  }

  /** Takes the line up anew. One that only listens does not notice that the other end vanished without a word. */
  renew(): void {
    if (this.#client?.status === 'ready') this.#client.disconnect(true)
  }

  async stop(): Promise<void> {
    this.#listeners.clear()
    await this.#drop()
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(step)
    this.#turn = done.catch(() => {})
    return done
  }

  async #join(channels: readonly string[], listener: BytesListener): Promise<void> {
    const client = await this.#connected()
    const fresh = channels.filter((channel) => !this.#listeners.has(channel))
    if (fresh.length > 0) await client.subscribe(...fresh)
    for (const channel of channels) this.#listeners.set(channel, (this.#listeners.get(channel) ?? new Set()).add(listener))
  }

  async #leave(channels: readonly string[], listener: BytesListener): Promise<void> {
    const idle = channels.filter((channel) => {
      const listeners = this.#listeners.get(channel)
      if (!listeners?.delete(listener) || listeners.size > 0) return false
      return this.#listeners.delete(channel)
    })
    // While the connection is away this fails; the messages that then still come find no listener.
    if (idle.length > 0) await this.#client?.unsubscribe(...idle).catch(() => {})
  }

  async #connected(): Promise<Ioredis> {
    if (this.#client) return this.#client
    const client = this.#options.open()
    this.#client = client
    client.on('error', () => {})
    client.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#deliver(channel.toString(), message))
    client.on('ready', () => this.#rejoin(client))
    try {
      await withTimeout(() => client.connect(), { timeoutMs: this.#options.connectTimeoutMs })
    } catch (error) {
      await this.#drop()
      throw error
    }
    return client
  }

  /** The line is back. By itself the driver would do this too, and end the process where the line breaks again before the answer. */
  #rejoin(client: Ioredis): void {
    const channels = [...this.#listeners.keys()]
    if (channels.length === 0) return
    client.subscribe(...channels).catch(() => {
      // Refused on a line that stands: another one may fare better.
      if (client === this.#client && client.status === 'ready') client.disconnect(true)
    })
  }

  #deliver(channel: string, message: Buffer): void {
    for (const listener of this.#listeners.get(channel) ?? []) {
      try {
        listener(message, channel)
      } catch (err) {
        this.#options.log.error('a listener to a channel failed', { channel, err })
      }
    }
  }

  async #drop(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    if (client && client.status !== 'end') await closeClient(client)
  }
}
