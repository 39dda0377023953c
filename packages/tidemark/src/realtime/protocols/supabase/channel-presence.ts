import { randomUUID } from 'node:crypto'
import { isDeeperThan } from '../../../json-depth.js'
import type { Json, TopicSubscription } from '../../realtime.js'
import type { ChannelContext } from './channel-context.js'
import { type ClientMessage, toJson } from './frames.js'
import { presenceStateJson } from './shared-frames.js'

/** Whoever is told of it writes it anew, in frames of their own: no stack may be too small for that, however little of it is left there. */
const maxDepth = 512

/** Who is present in a channel, and this client among them. */
export class ChannelPresence {
  readonly #channel: ChannelContext
  readonly #topic: TopicSubscription
  readonly #key: string
  #calls = 0
  #windowEndsMs = Number.NEGATIVE_INFINITY
  #told: string | undefined
  /** Of what is tracked. */
  #bytes = 0

  constructor(channel: ChannelContext, topic: TopicSubscription, key: string | undefined) {
    this.#channel = channel
    this.#topic = topic
    this.#key = key ?? randomUUID()
  }

  tellState(): void {
    this.#channel.push('presence_state', presenceStateJson(this.#topic.presence()))
  }

  /** `beforeTracking`: called when the client is about to appear. */
  async handle(message: ClientMessage, mayWrite: boolean, beforeTracking: () => void): Promise<void> {
    if (!this.#isAllowed()) return this.#channel.shutdown('Client presence rate limit exceeded')
    const { event, payload = {} } = (message.payload ?? {}) as { event?: unknown; payload?: unknown }
    const name = typeof event === 'string' ? event.toLowerCase() : undefined
    if (name === undefined) return this.#channel.reply(message, 'ok')
    if (name === 'untrack') return this.#untrack(message)
    if (name !== 'track' || !mayWrite) return this.#channel.reply(message, 'error')
    await this.#track(message, payload, beforeTracking)
  }

  async #track(message: ClientMessage, payload: unknown, beforeTracking: () => void): Promise<void> {
    const json = toJson(payload)
    if (typeof payload !== 'object' || payload === null || Array.isArray(payload) || json === undefined)
      return this.#channel.reply(message, 'error', { reason: 'Presence track payload must be a map' })
    if (isDeeperThan(json, maxDepth))
      return this.#channel.reply(message, 'error', { reason: 'Presence track payload is nested too deeply' })
    const bytes = Buffer.byteLength(json)
    if (bytes > this.#channel.services.limits.maxPayloadBytes || !this.#channel.holdPresence(this.#bytes, bytes))
      return this.#channel.shutdown('Track message size exceeded')
    this.#bytes = bytes
    beforeTracking()
    if (json !== this.#told) await this.#topic.track(this.#key, payload as Json)
    this.#told = json
    this.#channel.reply(message, 'ok')
  }

  async #untrack(message: ClientMessage): Promise<void> {
    this.#told = undefined
    this.close()
    await this.#topic.untrack()
    this.#channel.reply(message, 'ok')
  }

  /** Nothing is tracked any more. */
  close(): void {
    this.#channel.holdPresence(this.#bytes, 0)
    this.#bytes = 0
  }

  #isAllowed(): boolean {
    const { limits, clock } = this.#channel.services
    const now = clock.monotonicMs()
    if (now > this.#windowEndsMs) {
      this.#windowEndsMs = now + limits.presenceWindowMs
      this.#calls = 0
    }
    this.#calls += 1
    return this.#calls <= limits.presenceCalls
  }
}
