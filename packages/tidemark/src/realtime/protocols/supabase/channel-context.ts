import type { Frame } from '../../hub/frame.js'
import type { ChannelOwner } from './channel-owner.js'
import type { ClientMessage, ReplyStatus, Version } from './frames.js'
import type { Services } from './services.js'

/** What the parts of a channel need of it. */
export interface ChannelContext {
  readonly services: Services
  readonly version: Version
  /** As the client calls it. */
  readonly topic: string
  /** Without `realtime:`. */
  readonly name: string
  /** That the client has given to a message. */
  readonly highestNumber: number
  /** The join is not answered yet, and what is sent is kept back. */
  readonly isJoining: boolean
  readonly isEnded: boolean
  /** How many frames the client's connection was given so far; without those that are kept back. */
  readonly sent: number
  /** False from the moment somebody ends the connection: nothing that is sent arrives any more. */
  readonly isConnected: boolean
  /** What was sent so far is for the greater part with the client. */
  readonly hasRoom: boolean
  /** Kept back until the join is answered. */
  send(frame: Frame): void
  push(event: string, payloadJson: string): void
  system(extension: string, status: string, message: string, more?: object): void
  reply(message: ClientMessage, status: ReplyStatus, response?: object): void
  requestAcknowledgement(): void
  /** See {@link ChannelOwner.holdPresence}. */
  holdPresence(before: number, bytes: number): boolean
  /** Ends the client's connection: it does not read. */
  cutOffSlow(): void
  /** Ends the channel for good, and says why. */
  shutdown(message: string): void
  /** Ends the channel so that the client joins again. */
  fail(extension: string, message: string): void
}
