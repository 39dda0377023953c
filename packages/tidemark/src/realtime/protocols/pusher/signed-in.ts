import { textFrame } from '../../hub/frame.js'
import type { Json, PresenceDiff, TopicListener, TopicMessage, TopicSubscription } from '../../realtime.js'
import type { MemberSink } from './channel-member.js'
import { watchlistText } from './events.js'
import type { PusherChannels } from './pusher-channels.js'

/** Who a connection signed in as. */
export interface PusherUser {
  readonly id: string
  readonly info: Json
  readonly watchlist: readonly string[]
}

export interface SignedInSink extends MemberSink {
  /** The application ends the user's connections. */
  terminated(): void
}

/** Told when a user of the watchlist comes online, with a first connection, or goes offline, with the last. */
class Watch implements TopicListener {
  readonly id: string
  readonly #sink: MemberSink
  readonly #userId: string
  readonly subscription: TopicSubscription
  #online: boolean

  constructor(channels: PusherChannels, sink: MemberSink, userId: string) {
    this.id = `${sink.socketId}/${userId}`
    this.#sink = sink
    this.#userId = userId
    this.subscription = channels.subscribeToUser(userId, this)
    this.#online = this.subscription.presence().size > 0
  }

  get online(): boolean {
    return this.#online
  }

  message(): void {}

  presence(_diff: PresenceDiff): void {
    const online = this.subscription.presence().size > 0
    if (online === this.#online) return
    this.#online = online
    this.#sink.send(textFrame(watchlistText(online ? 'online' : 'offline', [this.#userId])))
  }
}

/** A signed-in connection: it hears what is sent to its user, and how those on its watchlist are. */
export class SignedIn implements TopicListener {
  readonly user: PusherUser
  readonly #channels: PusherChannels
  readonly #sink: SignedInSink
  readonly #subscription: TopicSubscription
  #watches: readonly Watch[] = []

  constructor(channels: PusherChannels, sink: SignedInSink, user: PusherUser) {
    this.user = user
    this.#channels = channels
    this.#sink = sink
    this.#subscription = channels.subscribeToUser(user.id, this)
  }

  get id(): string {
    return this.#sink.socketId
  }

  /** After the client knows that it is signed in. */
  begin(): void {
    void this.#subscription.track(this.user.id, null)
    this.#watches = this.user.watchlist.map((id) => new Watch(this.#channels, this.#sink, id))
    const online = this.user.watchlist.filter((_, index) => this.#watches[index]?.online)
    if (online.length > 0) this.#sink.send(textFrame(watchlistText('online', online)))
  }

  message(message: TopicMessage): void {
    if (this.#channels.isTermination(message)) this.#sink.terminated()
    else this.#sink.send(this.#channels.frameOf(message))
  }

  close(): void {
    this.#subscription.close()
    for (const { subscription } of this.#watches) subscription.close()
  }
}
