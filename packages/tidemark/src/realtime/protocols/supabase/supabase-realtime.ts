/**
 * Realtime as Supabase's clients speak it, over the sockets of `hub/`.
 *
 * handshake (whose key) ─► SupabaseSocket (topics of one client) ─► Channel: changes · broadcast · presence
 */
import type { FindCaller } from '../../../auth/find-caller.js'
import type { Logger, Metrics } from '../../../observability/observability.js'
import type { Clock } from '../../../time/clock.js'
import type { SocketProtocol } from '../../hub/hub.js'
import type { ChannelPolicies, DatabaseBroadcasts, MessageReplay } from '../../messages/messages.js'
import type { Changes, Topics } from '../../realtime.js'
import type { BroadcastApi } from './broadcast-api.js'
import type { ChannelInspection } from './inspect-channel.js'

export interface SupabaseLimits {
  readonly maxChannelsPerConnection: number
  /** Of one connection; more at once are allowed after a while of fewer. */
  readonly joinsPerSecond: number
  readonly eventsPerSecond: number
  /** Of one channel in `presenceWindowMs`. */
  readonly presenceCalls: number
  readonly presenceWindowMs: number
  /** Messages of the HTTP endpoints, over all callers. */
  readonly httpMessagesPerSecond: number
  readonly maxMessageBytes: number
  /** Of a broadcast or of what is told of one who is present. */
  readonly maxPayloadBytes: number
  readonly maxBufferedBytes: number
  readonly idleTimeoutMs: number
}

/** What channels are made of. What is missing is not there for anybody. */
export interface RealtimeParts {
  readonly topics: Topics
  readonly changes?: Changes | undefined
  readonly policies?: ChannelPolicies | undefined
  readonly replay?: MessageReplay | undefined
  readonly broadcasts?: DatabaseBroadcasts | undefined
}

export interface SupabaseRealtimeOptions {
  readonly findCaller: FindCaller
  readonly limits: SupabaseLimits
  /** Public channels are refused. */
  readonly privateOnly: boolean
  readonly log: Logger
  readonly metrics: Metrics
  readonly clock?: Clock
}

/** A topic, and how many channels of this process are joined to it. */
export interface OpenTopic {
  readonly topic: string
  readonly private: boolean
  readonly listeners: number
}

export interface SupabaseRealtime {
  readonly protocol: SocketProtocol
  readonly api: BroadcastApi
  /** Before, clients are asked to come again. */
  attach(parts: RealtimeParts): void
  /** Channels that are open. */
  channels(): number
  /** Topics that somebody of this process listens to. */
  topics(): readonly OpenTopic[]
  /** Hears what a client of that caller would; gives what ends it. */
  inspect(inspection: ChannelInspection): () => void
  /** Takes and tells nothing from now on. Sockets are the hub's to close. */
  stop(): void
}
