import { createHash } from 'node:crypto'
import type { Connection } from '../../hub/connection.js'
import type { ClientView, SocketHandler } from '../../hub/hub.js'
import { Rate } from '../../hub/rate.js'
import { Channel } from './channel.js'
import type { Cursor } from './channel-changes.js'
import type { ChannelOwner, OwnedChannel } from './channel-owner.js'
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
  readonly #events: Rate
  readonly #joins: Rate
  readonly #channels = new Map<string, Channel>()
  /** Topics that the client had on this connection: whether it will join them again where it was. */
  #before: Map<string, boolean> | undefined
  highestNumber = 0
  #firstJoinRef: number | undefined
  #presenceBytes = 0

  constructor(services: Services, connection: Connection, { version, identity, headers, origin }: SocketOpening) {
    const { limits } = services
    this.services = services
    this.connection = connection
    this.version = version
    this.identity = identity
    this.headers = headers
    this.#origin = origin
    this.#events = new Rate(limits.eventsPerSecond * burstSeconds, burstSeconds * 1000)
    this.#joins = new Rate(limits.joinsPerSecond, 1000)
  }

  message(data: Buffer, isBinary: boolean): void {
    const message = decodeMessage(data, isBinary, this.version)
    if (!message) {
      this.connection.close(1007, 'unreadable message', 'unreadable')
      return
    }
    this.#countRef(message)
    const isHeartbeat = message.event === 'heartbeat' && message.topic === 'phoenix'
    const channel = this.#channelOf(message)
    if (!this.#events.take(this.services.clock.monotonicMs())) {
      if (!isHeartbeat) this.#limit(channel)
      return
    }
    if (isHeartbeat) this.#reply(message, 'ok')
    else if (message.event === 'phx_join') this.#join(message, channel)
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
    this.#firstJoinRef ??= Number(message.joinRef ?? message.ref)
    current?.replace()
    if (this.#channels.size >= this.services.limits.maxChannelsPerConnection) {
      this.#refuse(message, 'ChannelRateLimitReached', 'Too many channels')
      return
    }
    const channel = new Channel(this, message, name)
    this.#channels.set(topic, channel)
    void channel.join(message)
  }

  #refuse(message: ClientMessage, code: string, reason: string): void {
    this.services.joinEnded(code)
    this.#reply(message, 'error', { reason: `${code}: ${reason}` })
  }

  #countRef({ ref }: ClientMessage): void {
    const number = Number(ref)
    if (Number.isSafeInteger(number) && number > this.highestNumber) this.highestNumber = number
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

  holdPresence(before: number, bytes: number): boolean {
    const after = this.#presenceBytes - before + bytes
    if (bytes > before && after > this.services.limits.maxPayloadBytes) return false
    this.#presenceBytes = after
    return true
  }

  cursorOf({ topic, joinRef }: OwnedChannel, { caller, token }: Identity, topicKey: string, fingerprint: string): Cursor {
    const { session_id: session, sub } = caller.claims
    const who =
      typeof session === 'string' ? session : typeof sub === 'string' ? `${sub} ${this.#origin}` : `${token} ${this.#origin}`
    const parts = [who, caller.role, topicKey, fingerprint]
    const name = createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
    // On one connection it is the same client, whatever it counts.
    const before = this.#before?.get(topic)
    const number = Number(joinRef ?? Number.NaN)
    if (before !== undefined || !Number.isSafeInteger(number)) return { name, returning: before, number: undefined }
    return { name, returning: this.services.returns.isBack(name, number, this.#firstJoinRef ?? 0), number }
  }

  ended(channel: OwnedChannel, mayReturn: boolean | undefined): void {
    const { topic, cursorName } = channel
    if (this.#channels.get(topic) === channel) this.#channels.delete(topic)
    if (cursorName === undefined || mayReturn === undefined) return
    if (mayReturn) this.services.returns.cutOff(cursorName, this.highestNumber)
    this.#before ??= new Map()
    this.#before.delete(topic)
    this.#before.set(topic, mayReturn)
    // A client makes up topics as it likes.
    const [oldest] = this.#before.size > this.services.limits.maxChannelsPerConnection ? this.#before.keys() : []
    if (oldest !== undefined) this.#before.delete(oldest)
  }

  acknowledged(sent: number): void {
    for (const channel of this.#channels.values()) channel.acknowledged(sent)
  }

  sweep(): void {
    for (const channel of this.#channels.values()) channel.sweep()
  }

  /** Whoever a channel was joined as, else whose key the socket was opened with: clients sign in by their channels. */
  view(): ClientView {
    const channels = this.#channels
    let caller = this.identity.caller
    for (const each of channels.values()) {
      if (typeof each.caller.claims.sub !== 'string') continue
      caller = each.caller
      break
    }
    const { sub } = caller.claims
    const names = function* () {
      for (const { name } of channels.values()) yield name
    }
    return { user: typeof sub === 'string' ? sub : undefined, role: caller.role, channels: { size: channels.size, names } }
  }

  /** A page that is left says so by its code; any other end may be followed by a return. */
  closed(code: number): void {
    for (const channel of [...this.#channels.values()]) channel.drop(code !== 1001)
  }
}
