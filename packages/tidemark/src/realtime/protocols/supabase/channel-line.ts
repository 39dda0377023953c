import type { Frame } from '../../hub/frame.js'
import type { ChannelOwner } from './channel-owner.js'
import { type ClientMessage, endFrame, pushFrame, type Ref, type ReplyStatus, replyFrame, type Version } from './frames.js'
import type { Services } from './services.js'
import { Withheld } from './withheld.js'

/** What a client is told in one of its channels; what comes before its join is answered is kept back until then. */
export abstract class ChannelLine {
  readonly topic: string
  readonly name: string
  readonly joinRef: Ref
  protected readonly owner: ChannelOwner
  /** Undefined once the join is answered. */
  #withheld: Withheld | undefined = new Withheld()

  constructor(owner: ChannelOwner, { topic, joinRef, ref }: ClientMessage, name: string) {
    this.owner = owner
    this.topic = topic
    this.name = name
    this.joinRef = joinRef ?? ref
  }

  /** Nothing is told any more. */
  abstract get isEnded(): boolean

  get services(): Services {
    return this.owner.services
  }

  get version(): Version {
    return this.owner.version
  }

  get sent(): number {
    return this.owner.connection.sent
  }

  get highestNumber(): number {
    return this.owner.highestNumber
  }

  get isConnected(): boolean {
    return this.owner.connection.isOpen
  }

  get hasRoom(): boolean {
    const waiting = this.owner.connection.bufferedBytes + (this.#withheld?.bytes ?? 0)
    return waiting < this.services.limits.maxBufferedBytes / 4
  }

  send(frame: Frame): void {
    if (this.isEnded) return
    if (!this.#withheld) {
      this.owner.connection.send(frame)
      return
    }
    this.#withheld.hold(frame)
    if (this.#withheld.bytes > this.services.limits.maxBufferedBytes)
      this.owner.connection.close(1013, 'too much to tell before the channel is joined', 'slow')
  }

  push(event: string, payloadJson: string): void {
    this.send(pushFrame(this.version, this.joinRef, this.topic, event, payloadJson))
  }

  system(extension: string, status: string, message: string, more: object = {}): void {
    this.push('system', JSON.stringify({ channel: this.name, extension, message, status, ...more }))
  }

  reply(message: ClientMessage, status: ReplyStatus, response?: object): void {
    // The topic is told as the client knows it, however it was written.
    this.send(replyFrame(this.version, { ...message, topic: this.topic }, status, response))
  }

  holdPresence(before: number, bytes: number): boolean {
    return this.owner.holdPresence(before, bytes)
  }

  requestAcknowledgement(): void {
    this.owner.connection.requestAcknowledgement()
  }

  cutOffSlow(): void {
    this.owner.connection.close(1013, 'what it is told is not read', 'slow')
  }

  /** Before anything that is kept back. */
  protected answer(message: ClientMessage, status: ReplyStatus, response?: object): void {
    this.owner.connection.send(replyFrame(this.version, message, status, response))
  }

  /** True where the message waits for the answer to the join, or was refused because too many do. */
  protected keepsBack(message: ClientMessage): boolean {
    const isKept = this.#withheld?.keep(message)
    if (isKept === false) this.reply(message, 'error', { reason: 'Too many messages before the channel is joined' })
    return isKept !== undefined
  }

  /** Sends what was kept back, and gives what the client has said meanwhile. From now on nothing is kept back. */
  protected release(): readonly ClientMessage[] {
    const { frames, messages } = this.#withheld ?? new Withheld()
    this.owner.connection.sendFrames(frames)
    this.#withheld = undefined
    return messages
  }

  /** The last thing that is told. */
  protected tellEnd(event: 'phx_close' | 'phx_error'): void {
    this.owner.connection.send(endFrame(this.version, this.joinRef, this.topic, event))
  }

  /** Nobody waits any more for what was kept back. */
  protected discard(): void {
    this.#withheld = undefined
  }
}
