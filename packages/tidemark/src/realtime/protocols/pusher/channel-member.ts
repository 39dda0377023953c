import type { Frame } from '../../hub/frame.js'
import type { PresenceDiff, TopicListener, TopicMessage, TopicSubscription } from '../../realtime.js'
import type { PusherChannels } from './pusher-channels.js'

/** What a member's client is told. */
export interface MemberSink {
  readonly socketId: string
  send(frame: Frame): void
}

/** One client in one channel. */
export class ChannelMember implements TopicListener {
  readonly channel: string
  /** Who it is in a presence channel. */
  readonly userId: string | undefined
  readonly #sink: MemberSink
  readonly #channels: PusherChannels
  readonly subscription: TopicSubscription
  #heard = false
  #joined = false

  constructor(channels: PusherChannels, sink: MemberSink, channel: string, userId: string | undefined) {
    this.#channels = channels
    this.#sink = sink
    this.channel = channel
    this.userId = userId
    this.subscription = channels.subscribe(channel, this)
  }

  get id(): string {
    return this.#sink.socketId
  }

  /** Whether an event of the application came since it subscribed: then the last one before is old. */
  get heard(): boolean {
    return this.#heard
  }

  /** From now on it is told who comes and who leaves: whoever is there already was told at once. */
  joined(): void {
    this.#joined = true
  }

  message(message: TopicMessage): void {
    this.#heard ||= this.#channels.isTriggered(message)
    this.#sink.send(this.#channels.frameOf(message))
  }

  presence(diff: PresenceDiff): void {
    if (!this.#joined) return
    for (const frame of this.#channels.framesOf(this.channel, diff, () => this.subscription.presence())) this.#sink.send(frame)
  }

  close(): void {
    this.#joined = false
    this.subscription.close()
  }
}
