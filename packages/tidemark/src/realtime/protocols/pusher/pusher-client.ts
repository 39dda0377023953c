import { randomInt } from 'node:crypto'
import type { Logger } from '../../../observability/observability.js'
import type { Connection } from '../../hub/connection.js'
import { type Frame, textFrame } from '../../hub/frame.js'
import type { ClientView, SocketHandler } from '../../hub/hub.js'
import { Rate } from '../../hub/rate.js'
import type { Json } from '../../realtime.js'
import { ChannelMember } from './channel-member.js'
import { isChannelName, kindOf, userChannel } from './channel-name.js'
import { type ClientMessage, fieldsOf, idOf, parseMessage, parseSigned } from './client-message.js'
import {
  cacheMissText,
  clientEventText,
  errorText,
  establishedText,
  eventText,
  pingText,
  pongText,
  rosterOf,
  subscriptionErrorText,
  succeededText,
} from './events.js'
import { type Closing, closing, errorCodes, maxEventNameLength, type PusherApp } from './pusher.js'
import type { PusherChannels } from './pusher-channels.js'
import { signinText, subscriptionText, whyNotSigned } from './signature.js'
import { type PusherUser, SignedIn, type SignedInSink } from './signed-in.js'

export interface PusherClientOptions {
  readonly app: PusherApp
  readonly channels: PusherChannels
  readonly connection: Connection
  readonly clientEvents: boolean
  /** After so long without a word of the client it is asked for one. */
  readonly activityTimeoutMs: number
  readonly log: Logger
  monotonicMs(): number
}

/** More than so many messages in so long are no client's. */
const maxMessages = 5_000
const messagesMs = 5_000
/** How long a client may take to answer a ping. */
const pongTimeoutMs = 30_000

const newSocketId = (): string => `${randomInt(1, 2 ** 47)}.${randomInt(1, 2 ** 47)}`

/** A member of a presence channel that wants to come in. */
interface Newcomer {
  readonly userId: string
  readonly info: Json
}

const ping = textFrame(pingText)

/** One connection of a client. */
export class PusherClient implements SocketHandler, SignedInSink {
  readonly socketId = newSocketId()
  readonly #options: PusherClientOptions
  readonly #members = new Map<string, ChannelMember>()
  #signedIn: SignedIn | undefined
  readonly #messages = new Rate(maxMessages, messagesMs)
  #clientEvents: Rate | undefined
  #heardAtMs: number
  #pingedAtMs: number | undefined
  #ended = false

  constructor(options: PusherClientOptions) {
    this.#options = options
    this.#heardAtMs = options.monotonicMs()
    this.#sendText(establishedText(this.socketId, Math.round(options.activityTimeoutMs / 1000)))
  }

  send(frame: Frame): void {
    this.#options.connection.send(frame)
  }

  message(data: Buffer, isBinary: boolean): void {
    this.#heardAtMs = this.#options.monotonicMs()
    this.#pingedAtMs = undefined
    if (this.#ended) return
    if (!this.#messages.take(this.#heardAtMs)) {
      this.#end(closing.flood, 'flood')
      return
    }
    const message = isBinary ? undefined : parseMessage(data.toString())
    if (message === undefined) this.#sendText(errorText(null, 'Invalid message: it has to be a JSON object with an event'))
    else this.#dispatch(message)
  }

  sweep(nowMs: number): void {
    if (this.#pingedAtMs !== undefined) {
      if (nowMs - this.#pingedAtMs > pongTimeoutMs) this.#end(closing.noPong, 'idle')
    } else if (nowMs - this.#heardAtMs > this.#options.activityTimeoutMs) {
      this.#pingedAtMs = nowMs
      this.send(ping)
    }
  }

  /** Who signed in, else who it is in a presence channel. */
  view(): ClientView {
    const members = this.#members
    let user = this.#signedIn?.user.id
    if (user === undefined) for (const { userId } of members.values()) user ??= userId
    return { user, role: undefined, channels: { size: members.size, names: () => members.keys() } }
  }

  closed(): void {
    this.#ended = true
    this.#signedIn?.close()
    for (const member of this.#members.values()) this.#leave(member)
    this.#members.clear()
  }

  terminated(): void {
    this.#end(closing.terminated, 'terminated')
  }

  #sendText(text: string): void {
    this.send(textFrame(text))
  }

  #end([code, message]: Closing, why: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#sendText(errorText(code, message))
    this.#options.connection.close(code, message, why)
  }

  #dispatch(message: ClientMessage): void {
    const reply = this.#reply(message)
    if (reply !== undefined) this.#sendText(reply)
  }

  /** What the client is told at once. */
  #reply(message: ClientMessage): string | undefined {
    const { event, data } = message
    if (event === 'pusher:ping') return pongText
    if (event === 'pusher:pong') return undefined
    if (event === 'pusher:subscribe') return this.#subscribe(fieldsOf(data))
    if (event === 'pusher:unsubscribe') return this.#unsubscribe(fieldsOf(data)['channel'])
    if (event === 'pusher:signin') return this.#signin(fieldsOf(data))
    if (event.startsWith('client-')) return this.#clientEvent(message)
    return errorText(null, 'Unknown event: only pusher: and client- events are taken')
  }

  #subscribe({ channel, auth, channel_data: channelData }: Readonly<Record<string, unknown>>): string | undefined {
    const user = this.#signedIn?.user
    if (user && channel === userChannel(user.id)) return succeededText(channel)
    if (!isChannelName(channel)) return errorText(null, 'Invalid channel name')
    if (this.#members.has(channel)) return errorText(null, `Existing subscription to channel ${channel}`)
    const { maxChannelsPerConnection } = this.#options.channels.options.limits
    if (this.#members.size >= maxChannelsPerConnection) {
      const error = `A connection subscribes to at most ${maxChannelsPerConnection} channels`
      return subscriptionErrorText(channel, 'LimitReached', error, 4004)
    }
    const given = typeof channelData === 'string' ? channelData : undefined
    const why = this.#whyNoEntry(channel, auth, given)
    if (why !== undefined) return subscriptionErrorText(channel, 'AuthError', why, 401)
    return kindOf(channel).access === 'presence' ? this.#enter(channel, given) : this.#join(channel)
  }

  #whyNoEntry(channel: string, auth: unknown, channelData: string | undefined): string | undefined {
    if (kindOf(channel).access === 'public') return undefined
    return whyNotSigned(this.#options.app, auth, subscriptionText(this.socketId, channel, channelData))
  }

  /** Who comes into a presence channel: as the application signed it, else who signed in. A text says why nobody does. */
  #newcomer(channelData: string | undefined): Newcomer | string {
    const user = this.#signedIn?.user
    if (channelData === undefined) return user ? { userId: user.id, info: user.info } : 'Presence channels require channel_data'
    const data = parseSigned(channelData)
    const userId = idOf(data?.['user_id'])
    if (data === undefined || userId === undefined) return 'Invalid channel_data: it has to be JSON with a user_id'
    const info = (data['user_info'] ?? null) as Json
    const { maxPresenceMemberBytes } = this.#options.channels.options.limits
    if (Buffer.byteLength(JSON.stringify(info)) <= maxPresenceMemberBytes) return { userId, info }
    return `Invalid channel_data: user_info has more than ${maxPresenceMemberBytes} bytes`
  }

  #join(channel: string): undefined {
    const member = new ChannelMember(this.#options.channels, this, channel, undefined)
    this.#sendText(succeededText(channel))
    this.#joined(member)
  }

  /** Into a presence channel, where there is room. */
  #enter(channel: string, channelData: string | undefined): string | undefined {
    const newcomer = this.#newcomer(channelData)
    if (typeof newcomer === 'string') return subscriptionErrorText(channel, 'AuthError', newcomer, 401)
    const { userId, info } = newcomer
    const { channels } = this.#options
    const { maxPresenceMembers } = channels.options.limits
    const present = channels.presence(channel)
    if (present.size >= maxPresenceMembers && !present.has(userId)) {
      const error = `The channel has its maximum of ${maxPresenceMembers} members`
      return subscriptionErrorText(channel, 'LimitReached', error, 4004)
    }
    const member = new ChannelMember(channels, this, channel, userId)
    void member.subscription.track(userId, info)
    this.#sendText(succeededText(channel, rosterOf(member.subscription.presence())))
    member.joined()
    this.#joined(member)
    return undefined
  }

  #joined(member: ChannelMember): void {
    const { channel } = member
    this.#members.set(channel, member)
    this.#options.channels.countChanged(channel)
    if (kindOf(channel).cache) void this.#tellLast(member)
  }

  async #tellLast(member: ChannelMember): Promise<void> {
    const { channel } = member
    const { channels, log } = this.#options
    const text = await channels.lastEvent(channel).catch((err: unknown) => {
      log.warn('the last event of a channel could not be read', { err })
      return undefined
    })
    if (this.#members.get(channel) !== member || member.heard) return
    this.#sendText(text ?? cacheMissText(channel))
    if (text === undefined) channels.options.webhooks.missed(channel)
  }

  #unsubscribe(channel: unknown): undefined {
    const member = typeof channel === 'string' ? this.#members.get(channel) : undefined
    if (member === undefined) return
    this.#members.delete(member.channel)
    this.#leave(member)
  }

  #leave(member: ChannelMember): void {
    member.close()
    this.#options.channels.countChanged(member.channel)
  }

  #clientEvent({ event, channel, data }: ClientMessage): string | undefined {
    const member = typeof channel === 'string' ? this.#members.get(channel) : undefined
    const why = this.#whyNoClientEvent(event, member, data)
    if (why !== undefined || member === undefined) return errorText(null, why ?? '')
    const { channels, monotonicMs } = this.#options
    const { clientEventsPerSecond } = channels.options.limits
    this.#clientEvents ??= new Rate(clientEventsPerSecond, 1_000)
    if (!this.#clientEvents.take(monotonicMs())) {
      return errorText(errorCodes.rate, `Client event rejected: more than ${clientEventsPerSecond} in a second`)
    }
    this.#passOn(member, event, data)
    return undefined
  }

  #passOn({ channel, userId }: ChannelMember, event: string, data: unknown): void {
    const { channels, log } = this.#options
    channels
      .publishText(channel, clientEventText(event, channel, data, userId), this.socketId)
      .catch((err: unknown) => log.warn('a client event did not reach other servers', { err }))
    channels.options.webhooks.clientEvent({ channel, event, data, socketId: this.socketId, userId })
  }

  #whyNoClientEvent(event: string, member: ChannelMember | undefined, data: unknown): string | undefined {
    const { clientEvents, channels } = this.#options
    if (!clientEvents) return 'Client events are not enabled for this app'
    if (member === undefined) return 'Client event rejected: there is no subscription to this channel'
    const { access, encrypted } = kindOf(member.channel)
    if (access === 'public') return 'Client event rejected: only supported on private and presence channels'
    if (encrypted) return 'Client event rejected: not supported on encrypted channels'
    if (event.length > maxEventNameLength) return `Client event rejected: its name has more than ${maxEventNameLength} characters`
    const { maxEventBytes } = channels.options.limits
    const bytes = Buffer.byteLength(typeof data === 'string' ? data : (JSON.stringify(data) ?? ''))
    return bytes > maxEventBytes ? `Client event rejected: its data has more than ${maxEventBytes} bytes` : undefined
  }

  #signin({ auth, user_data: userData }: Readonly<Record<string, unknown>>): string | undefined {
    const text = typeof userData === 'string' ? userData : ''
    const why = whyNotSigned(this.#options.app, auth, signinText(this.socketId, text))
    const data = why === undefined ? parseSigned(text) : undefined
    const id = idOf(data?.['id'])
    if (data === undefined || id === undefined) this.#end(closing.unauthorized, 'unauthorized')
    else if (this.#signedIn) return errorText(null, 'This connection is signed in already')
    else this.#signIn({ id, info: (data['user_info'] ?? null) as Json, ...this.#watchlistOf(data['watchlist']) }, text)
    return undefined
  }

  #signIn(user: PusherUser & { readonly tooLong: boolean }, userData: string): void {
    this.#signedIn = new SignedIn(this.#options.channels, this, user)
    this.#sendText(eventText('pusher:signin_success', { user_data: userData }))
    if (user.tooLong) this.#sendText(errorText(errorCodes.watchlist, 'The watchlist is too long; nothing of it is watched'))
    this.#signedIn.begin()
  }

  #watchlistOf(given: unknown): { readonly watchlist: readonly string[]; readonly tooLong: boolean } {
    const { maxWatchlist } = this.#options.channels.options.limits
    const ids = Array.isArray(given) ? given.map(idOf).filter((id) => id !== undefined) : []
    return ids.length > maxWatchlist ? { watchlist: [], tooLong: true } : { watchlist: [...new Set(ids)], tooLong: false }
  }
}

/** Tells why, and closes. */
export class RefusedClient implements SocketHandler {
  constructor(connection: Connection, [code, message]: Closing) {
    connection.send(textFrame(errorText(code, message)))
    connection.close(code, message, 'refused')
  }

  message(): void {}

  closed(): void {}
}
