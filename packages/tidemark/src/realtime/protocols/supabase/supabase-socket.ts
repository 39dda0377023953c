import { createHash } from 'node:crypto'
import type { Connection } from '../../hub/connection.js'
import type { SocketHandler } from '../../hub/hub.js'
import { Rate } from '../../hub/rate.js'
import { Channel, type ChannelOwner } from './channel.js'
import { type ClientMessage, decodeMessage, replyFrame, type Version } from './frames.js'
import type { Identity } from './identity.js'
import type { Services } from './services.js'

/** What the handshake found out. */
export interface SocketOpening {
  readonly version: Version
  readonly identity: Identity
  readonly headers: Readonly<Record<string, string>>
  /** Where it comes from: what tells one visitor without a session from another. */
  readonly origin: string
}

const topicPrefix = 'realtime:'
/** Clients join again what they had as soon as they are back. */
const returnsWithinMs = 10_000
/** Some may come at once after a while of fewer. */
const burstSeconds = 10
const tooManyEvents = 'Too many messages per second'
const tooManyJoins = 'Too many joins per second'

/** One client: its channels by their topics. */
export class SupabaseSocket implements SocketHandler, ChannelOwner {
  readonly services: Services
  readonly connection: Connection
  readonly version: Version
  readonly identity: Identity
  readonly headers: Readonly<Record<string, string>>
  readonly #origin: string
  readonly #openedMs: number
  readonly #events: Rate
  readonly #joins: Rate
  readonly #channels = new Map<string, Channel>()
  /** Topics that the client had on this connection and will join again. */
  #expected: Set<string> | undefined
  /** The client's counter went on from an earlier connection. Unknown before its first message. */
  #cameBack: boolean | undefined

  constructor(services: Services, connection: Connection, { version, identity, headers, origin }: SocketOpening) {
    const { limits, clock } = services
    this.services = services
    this.connection = connection
    this.version = version
    this.identity = identity
    this.headers = headers
    this.#origin = origin
    this.#openedMs = clock.monotonicMs()
    this.#events = new Rate(limits.eventsPerSecond * burstSeconds, burstSeconds * 1000)
    this.#joins = new Rate(limits.joinsPerSecond, 1000)
  }

  message(data: Buffer, isBinary: boolean): void {
    const message = decodeMessage(data, isBinary, this.version)
    if (!message) {
      this.connection.close(1007, 'unreadable message', 'unreadable')
      return
    }
    this.#cameBack ??= Number(message.ref) > 1
    if (message.event === 'heartbeat' && message.topic === 'phoenix') {
      this.#reply(message, 'ok')
      return
    }
    const channel = this.#channelOf(message)
    if (!this.#events.take(this.services.clock.monotonicMs())) {
      this.#limit(channel)
      return
    }
    if (message.event === 'phx_join') this.#join(message, channel)
    else if (message.event === 'phx_leave') this.#leave(message, channel)
    else if (channel) channel.receive(message)
    else this.#reply(message, 'error', { reason: 'unmatched topic' })
  }

  /** Clients that write a topic's characters as single bytes still say which join they mean. */
  #channelOf({ topic, joinRef, broadcast }: ClientMessage): Channel | undefined {
    const channel = this.#channels.get(topic)
    if (channel || broadcast === undefined || joinRef === null) return channel
    for (const each of this.#channels.values()) if (each.joinRef === joinRef) return each
    return undefined
  }

  #reply(message: ClientMessage, status: 'ok' | 'error', response?: object): void {
    this.connection.send(replyFrame(this.version, message, status, response))
  }

  #limit(channel: Channel | undefined): void {
    if (channel) channel.shutdown(tooManyEvents)
    else this.connection.close(1008, tooManyEvents, 'rate')
  }

  #join(message: ClientMessage, current: Channel | undefined): void {
    const { topic } = message
    if (!topic.startsWith(topicPrefix)) {
      this.#reply(message, 'error', { reason: 'unmatched topic' })
      return
    }
    const name = topic.slice(topicPrefix.length)
    if (name === '') {
      this.#refuse(message, 'TopicNameRequired', 'You must provide a topic name')
      return
    }
    if (!this.#joins.take(this.services.clock.monotonicMs())) {
      this.#refuse(message, 'ClientJoinRateLimitReached', tooManyJoins)
      this.connection.close(1008, tooManyJoins, 'rate')
      return
    }
    current?.replace()
    if (this.#channels.size >= this.services.limits.maxChannelsPerConnection) {
      this.#refuse(message, 'ChannelRateLimitReached', 'Too many channels')
      return
    }
    const channel = new Channel(this, message, name, this.#isReturning(topic))
    this.#channels.set(topic, channel)
    void channel.join(message)
  }

  #refuse(message: ClientMessage, code: string, reason: string): void {
    this.services.joinEnded(code)
    this.#reply(message, 'error', { reason: `${code}: ${reason}` })
  }

  #isReturning(topic: string): boolean {
    if (this.#expected?.delete(topic)) return true
    const justOpened = this.services.clock.monotonicMs() - this.#openedMs < returnsWithinMs
    return this.#cameBack === true && justOpened
  }

  #leave(message: ClientMessage, channel: Channel | undefined): void {
    const { joinRef } = message
    if (!channel) {
      this.#reply(message, 'ok')
      return
    }
    // Of a join that was replaced since: it was told of its end then.
    if (joinRef !== null && joinRef !== channel.joinRef) return
    channel.leave(message)
  }

  cursorOf({ caller, token }: Identity, topic: string, fingerprint: string): string {
    const { session_id: session, sub } = caller.claims
    const who =
      typeof session === 'string' ? session : typeof sub === 'string' ? `${sub} ${this.#origin}` : `${token} ${this.#origin}`
    const parts = [who, caller.role, topic, fingerprint]
    return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
  }

  ended(channel: Channel, mayReturn: boolean): void {
    if (this.#channels.get(channel.topic) === channel) this.#channels.delete(channel.topic)
    if (!mayReturn) return
    this.#expected ??= new Set()
    // As many as there can be channels: a client makes up topics as it likes.
    if (this.#expected.size < this.services.limits.maxChannelsPerConnection) this.#expected.add(channel.topic)
  }

  acknowledged(sent: number): void {
    for (const channel of this.#channels.values()) channel.acknowledged(sent)
  }

  sweep(): void {
    for (const channel of this.#channels.values()) channel.sweep()
  }

  /** A page that is left says so by its code; any other end may be followed by a return. */
  closed(code: number): void {
    for (const channel of [...this.#channels.values()]) channel.drop(code !== 1001)
  }
}
