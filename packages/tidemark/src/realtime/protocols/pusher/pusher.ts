/**
 * Pusher Channels: protocol 7 over WebSocket, its HTTP API, and the webhooks that it sends.
 *
 * pusher-js ─► PusherClient ─► ChannelMember ─┐
 * pusher ─► handleRequest ─► PusherChannels ──┴─► topics/ (all nodes)
 */
import type { Json } from '../../realtime.js'

export interface PusherApp {
  readonly id: string
  readonly key: string
  readonly secret: string
}

/** What a client or a request may do at most. */
export interface PusherLimits {
  readonly maxEventBytes: number
  readonly maxPresenceMembers: number
  readonly maxPresenceMemberBytes: number
  readonly maxChannelsPerConnection: number
  readonly clientEventsPerSecond: number
  readonly maxWatchlist: number
}

export const pusherLimits: PusherLimits = {
  maxEventBytes: 10 * 1024,
  maxPresenceMembers: 100,
  maxPresenceMemberBytes: 1024,
  maxChannelsPerConnection: 1_000,
  clientEventsPerSecond: 10,
  maxWatchlist: 100,
}

export const maxChannelNameLength = 200
export const maxEventNameLength = 200
export const maxChannelsPerEvent = 100
export const maxBatchEvents = 10

export interface TriggerOptions {
  /** Whoever does not hear it. */
  readonly socketId?: string | undefined
}

/** Triggers events as the HTTP API does, from within. */
export interface PusherPublisher {
  /** Text goes out as it is, anything else as JSON. Raises TM_REALTIME_PUSHER for what the HTTP API would refuse. */
  trigger(channels: readonly string[], event: string, data: Json, options?: TriggerOptions): Promise<void>
}

/** A request that is not answered as wished; the text is its body. */
export class PusherRefusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'PusherRefusal'
    this.status = status
  }
}

/** What a connection is closed with. Below 4100 a client does not come back, below 4200 later, below 4300 at once. */
export const closing = {
  noApp: [4001, 'Application does not exist'],
  badVersion: [4006, 'Invalid version string format'],
  badProtocol: [4007, 'Unsupported protocol version'],
  noProtocol: [4008, 'No protocol version supplied'],
  unauthorized: [4009, 'Connection is unauthorized'],
  terminated: [4009, 'The connection was terminated by the application'],
  flood: [4100, 'Too many messages'],
  slow: [4100, 'The connection leaves too much unread'],
  operator: [4100, 'Closed by an operator'],
  shutdown: [4200, 'The server restarts'],
  noPong: [4201, 'Pong reply not received'],
  idle: [4202, 'Closed after inactivity'],
} as const satisfies Readonly<Record<string, readonly [code: number, message: string]>>

/** What a client is told of and goes on. */
export const errorCodes = { rate: 4301, watchlist: 4302 } as const

export type Closing = (typeof closing)[keyof typeof closing]
