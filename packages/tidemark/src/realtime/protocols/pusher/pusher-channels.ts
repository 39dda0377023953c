import { reasonOf, TidemarkError } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import type { Clock } from '../../../time/clock.js'
import type { Frame } from '../../hub/frame.js'
import { textFrame } from '../../hub/frame.js'
import type { Json, PresenceDiff, PresenceState, TopicListener, TopicMessage, TopicSubscription } from '../../realtime.js'
import type { OpenTopics } from '../../topics/topics.js'
import { isChannelName, isSocketId, kindOf, userOfChannel } from './channel-name.js'
import { countText, eventText, triggeredText } from './events.js'
import type { LastEvents } from './last-events.js'
import {
  maxChannelsPerEvent,
  maxEventNameLength,
  type PusherApp,
  type PusherLimits,
  type PusherPublisher,
  PusherRefusal,
  type TriggerOptions,
} from './pusher.js'
import type { PusherWebhooks } from './webhooks.js'

export interface PusherChannelsOptions {
  readonly app: PusherApp
  readonly topics: OpenTopics
  readonly lastEvents: LastEvents
  readonly webhooks: PusherWebhooks
  readonly limits: PusherLimits
  /** Whether clients are told how many subscribe to their channels. */
  readonly subscriptionCounts: boolean
  readonly clock: Clock
  readonly log: Logger
}

/** An event before it is sent. */
export interface Event {
  readonly name: string
  readonly data: string
  readonly channels: readonly string[]
  readonly socketId?: string | undefined
}

export interface ChannelInfo {
  readonly occupied: boolean
  readonly subscriptionCount: number
  /** Of a presence channel. */
  readonly userCount: number | undefined
}

/** A count is told again after so long at the earliest; that of a channel with many subscribers less often. */
const countEveryMs = 1_000
const largeCount = 100
const countLargeEveryMs = 5_000

const terminateText = 'terminate'
const untriggered = ['{"event":"pusher_internal:', '{"event":"client-'].map((start) => Buffer.from(start))

/** The channels of one app, as this node has them. */
export class PusherChannels implements PusherPublisher {
  readonly options: PusherChannelsOptions
  readonly #ending = new AbortController()
  /** Channels whose count was told a moment ago, and whether it has changed since. */
  readonly #counted = new Map<string, boolean>()
  readonly #unwatch: readonly (() => void)[]
  #lastMessage: TopicMessage | undefined
  #lastFrame: Frame | undefined
  #lastDiff: PresenceDiff | undefined
  #lastDiffFrames: readonly Frame[] = []

  constructor(options: PusherChannelsOptions) {
    this.options = options
    const { topics, webhooks } = options
    const prefix = this.#topicOf('')
    const isOurs = (topic: string): boolean => topic.startsWith(prefix)
    this.#unwatch = [
      // What was told a moment ago was told without them.
      topics.onCountElsewhere((topic) => {
        const channel = topic.slice(prefix.length)
        if (isOurs(topic) && this.#counted.has(channel)) this.#counted.set(channel, true)
      }),
      topics.onOccupancy((topic, occupied) => {
        if (isOurs(topic)) webhooks.occupied(topic.slice(prefix.length), occupied)
      }),
      topics.onPresence((topic, key, present) => {
        if (isOurs(topic)) webhooks.present(topic.slice(prefix.length), key, present)
      }),
    ]
  }

  /** Channels are counted over all nodes by this beginning of their topics. */
  static readonly topicPrefix = 'pusher:'

  #topicOf(channel: string): string {
    return `${PusherChannels.topicPrefix}${this.options.app.id}:${channel}`
  }

  #userTopicOf(userId: string): string {
    return `pusher-user:${this.options.app.id}:${userId}`
  }

  subscribe(channel: string, listener: TopicListener): TopicSubscription {
    return this.options.topics.subscribe(this.#topicOf(channel), listener)
  }

  /** What reaches a user's connections, and whether there are any: who signs in tracks itself there. */
  subscribeToUser(userId: string, listener: TopicListener): TopicSubscription {
    return this.options.topics.subscribe(this.#userTopicOf(userId), listener)
  }

  /** What came in on a user's topic may be the order to end the connection. */
  isTermination(message: TopicMessage): boolean {
    return message.body.length === terminateText.length && message.body.toString() === terminateText
  }

  /** Whether it is an event of the application, not one of the protocol or of a client. */
  isTriggered({ body }: TopicMessage): boolean {
    return !untriggered.some((start) => body.subarray(0, start.length).equals(start))
  }

  async terminate(userId: string): Promise<void> {
    await this.options.topics.publish({ topic: this.#userTopicOf(userId), body: Buffer.from(terminateText) })
  }

  /** One frame for all who hear a message. */
  frameOf(message: TopicMessage): Frame {
    if (this.#lastMessage !== message || this.#lastFrame === undefined) {
      this.#lastMessage = message
      this.#lastFrame = textFrame(message.body)
    }
    return this.#lastFrame
  }

  /** Who came and who left, as its members are told; the same for all of them. `state`: after the change. */
  framesOf(channel: string, diff: PresenceDiff, state: () => PresenceState): readonly Frame[] {
    if (this.#lastDiff !== diff) {
      this.#lastDiff = diff
      this.#lastDiffFrames = this.#memberTexts(channel, diff, state()).map((text) => textFrame(text))
    }
    return this.#lastDiffFrames
  }

  #memberTexts(channel: string, { joins, leaves }: PresenceDiff, state: PresenceState): string[] {
    const left = [...leaves.keys()].filter((id) => !state.has(id))
    // With one connection more a user has not come again.
    const came = [...joins].filter(([id, metas]) => !leaves.has(id) && state.get(id)?.length === metas.length)
    return [
      ...left.map((id) => eventText('pusher_internal:member_removed', { user_id: id }, channel)),
      ...came.map(([id, [first]]) =>
        eventText('pusher_internal:member_added', { user_id: id, user_info: first?.payload ?? null }, channel),
      ),
    ]
  }

  async publishText(channel: string, text: string, except?: string): Promise<void> {
    const topic = this.#topicOf(channel)
    const body = Buffer.from(text)
    await this.options.topics.publish(except === undefined ? { topic, body } : { topic, body, except })
  }

  async trigger(channels: readonly string[], event: string, data: Json, options: TriggerOptions = {}): Promise<void> {
    const text = typeof data === 'string' ? data : JSON.stringify(data)
    try {
      await this.send(this.checked({ name: event, data: text, channels, socketId: options.socketId }))
    } catch (error) {
      if (error instanceof PusherRefusal) throw new TidemarkError('TM_REALTIME_PUSHER', { reason: reasonOf(error) })
      throw error
    }
  }

  /** Raises PusherRefusal. */
  checked(event: { readonly [K in keyof Event]?: unknown }): Event {
    const { name, data, channels, socketId } = event
    if (typeof name !== 'string' || name === '') throw new PusherRefusal(400, 'Missing required parameter: name')
    if (name.length > maxEventNameLength) {
      throw new PusherRefusal(400, `Event name too long: it has more than ${maxEventNameLength} characters`)
    }
    if (typeof data !== 'string') throw new PusherRefusal(400, 'Missing required parameter: data has to be a string')
    const { maxEventBytes } = this.options.limits
    if (Buffer.byteLength(data) > maxEventBytes) {
      throw new PusherRefusal(413, `The data content of this event exceeds the allowed maximum (${maxEventBytes} bytes)`)
    }
    if (socketId !== undefined && !isSocketId(socketId)) throw new PusherRefusal(400, 'Invalid socket id')
    return { name, data, channels: this.#checkedChannels(channels), socketId }
  }

  #checkedChannels(channels: unknown): readonly string[] {
    if (!Array.isArray(channels) || channels.length === 0) throw new PusherRefusal(400, 'Missing required parameter: channels')
    if (channels.length > maxChannelsPerEvent) {
      throw new PusherRefusal(400, `Cannot trigger an event on more than ${maxChannelsPerEvent} channels`)
    }
    for (const channel of channels) {
      const valid = isChannelName(channel) || (typeof channel === 'string' && userOfChannel(channel) !== undefined)
      if (!valid) throw new PusherRefusal(400, `Invalid channel name: ${JSON.stringify(channel)?.slice(0, 250)}`)
    }
    return channels as string[]
  }

  async send({ name, data, channels, socketId }: Event): Promise<void> {
    await Promise.all(channels.map((channel) => this.#sendTo(channel, triggeredText(name, channel, data), socketId)))
  }

  async #sendTo(channel: string, text: string, except: string | undefined): Promise<void> {
    const user = userOfChannel(channel)
    if (user !== undefined) {
      await this.options.topics.publish({ topic: this.#userTopicOf(user), body: Buffer.from(text) })
      return
    }
    if (kindOf(channel).cache) await this.options.lastEvents.set(`${this.options.app.id}:${channel}`, text)
    await this.publishText(channel, text, except)
  }

  lastEvent(channel: string): Promise<string | undefined> {
    return this.options.lastEvents.get(`${this.options.app.id}:${channel}`)
  }

  presence(channel: string): PresenceState {
    return this.options.topics.presence(this.#topicOf(channel))
  }

  async info(channel: string): Promise<ChannelInfo> {
    const subscriptionCount = await this.options.topics.count(this.#topicOf(channel))
    const userCount = kindOf(channel).access === 'presence' ? this.presence(channel).size : undefined
    return { occupied: subscriptionCount > 0, subscriptionCount, userCount }
  }

  /** Occupied channels with how many subscribe to them. */
  async occupied(prefix: string): Promise<ReadonlyMap<string, number>> {
    const cut = this.#topicOf('').length
    const topics = await this.options.topics.occupied(this.#topicOf(prefix))
    return new Map([...topics].map(([topic, count]) => [topic.slice(cut), count]))
  }

  /** Somebody subscribed here or left. */
  countChanged(channel: string): void {
    if (kindOf(channel).access === 'presence') return
    if (this.#counted.has(channel)) this.#counted.set(channel, true)
    else void this.#tellCount(channel).catch((err: unknown) => this.options.log.debug('a count was not told', { err }))
  }

  async #tellCount(channel: string): Promise<void> {
    const { topics, clock, webhooks, subscriptionCounts } = this.options
    this.#counted.set(channel, false)
    try {
      const count = await topics.count(this.#topicOf(channel))
      webhooks.counted(channel, count)
      if (count > 0 && subscriptionCounts) await this.publishText(channel, countText(channel, count))
      await clock.sleep(count > largeCount ? countLargeEveryMs : countEveryMs, this.#ending.signal).catch(() => {})
    } finally {
      const changed = this.#counted.get(channel)
      this.#counted.delete(channel)
      if (changed && !this.#ending.signal.aborted) this.countChanged(channel)
    }
  }

  stop(): void {
    this.#ending.abort()
    for (const end of this.#unwatch) end()
  }
}
