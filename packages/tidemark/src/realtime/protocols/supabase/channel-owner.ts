import type { Connection } from '../../hub/connection.js'
import type { Cursor } from './channel-changes.js'
import type { Ref, Version } from './frames.js'
import type { Identity } from './identity.js'
import type { Services } from './services.js'

/** How a channel is known to its client, and when it comes back. */
export interface OwnedChannel {
  readonly topic: string
  readonly joinRef: Ref
  /** How it is known when it comes back; undefined where nothing is told of changes. */
  readonly cursorName: string | undefined
}

/** The client's side of a channel. */
export interface ChannelOwner {
  readonly services: Services
  readonly connection: Connection
  readonly version: Version
  /** By the key of the socket. */
  readonly identity: Identity
  /** Headers that policies may look at. */
  readonly headers: Readonly<Record<string, string>>
  /** That it has given to a message. */
  readonly highestNumber: number
  /**
   * What a channel has tracked takes so many bytes now, instead of so many before. False where the channels of the client would hold more
   * together than one message may: then it stays as it was.
   */
  holdPresence(before: number, bytes: number): boolean
  /** What names the channel over reconnects. */
  cursorOf(channel: OwnedChannel, identity: Identity, topicKey: string, fingerprint: string): Cursor
  /** It is no channel of the client's any more. `mayReturn`: whether the client will join it again where it was; undefined: as before. */
  ended(channel: OwnedChannel, mayReturn: boolean | undefined): void
}
