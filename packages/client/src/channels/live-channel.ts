import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js'
import { renewToken } from '../renew-token.js'

export interface ChannelOptions {
  /** Policies of `realtime.messages` decide who may hear and say what. */
  readonly private?: boolean
  /** What is sent comes back to whoever sent it. */
  readonly self?: boolean
  /** Names this client among those who are present. Default: one that is drawn. */
  readonly presenceKey?: string
}

export type ChannelState = 'connecting' | 'joined' | 'offline'

export interface ChannelMessage<Payload = unknown> {
  readonly event: string
  readonly payload: Payload
}

/** Who is there: by key, what each connection of it said of itself. */
export type Present<Meta extends object = Record<string, unknown>> = Readonly<Record<string, readonly Meta[]>>

/** A channel that is joined while somebody listens: broadcasts and presence. */
export interface LiveChannel {
  readonly topic: string
  readonly state: ChannelState
  readonly present: Present
  /** Why it is not joined, where the server said so. */
  readonly error: Error | undefined
  /** Called with each message, until what is returned is called. */
  onMessage(listener: (message: ChannelMessage) => void): () => void
  /** Called when state or presence has changed, until what is returned is called. */
  onChange(listener: () => void): () => void
  /** Resolves to `ok`, or to what went wrong. */
  send(event: string, payload: object): Promise<string>
  /** Says that this client is there; undefined: that it is not. Said again after a lost connection. */
  track(meta: object | undefined): Promise<void>
}

const leaveAfterMs = 200

class SharedChannel implements LiveChannel {
  readonly topic: string
  readonly #supabase: SupabaseClient
  readonly #options: ChannelOptions
  readonly #known: (isListenedTo: boolean) => void
  readonly #messages = new Set<(message: ChannelMessage) => void>()
  readonly #changes = new Set<() => void>()
  #channel: RealtimeChannel | undefined
  #state: ChannelState = 'connecting'
  #present: Present = {}
  #error: Error | undefined
  #meta: object | undefined
  #leaving: ReturnType<typeof setTimeout> | undefined
  #reopening: ReturnType<typeof setTimeout> | undefined

  constructor(supabase: SupabaseClient, topic: string, options: ChannelOptions, known: (isListenedTo: boolean) => void) {
    this.#supabase = supabase
    this.topic = topic
    this.#options = options
    this.#known = known
  }

  get state(): ChannelState {
    return this.#state
  }

  get present(): Present {
    return this.#present
  }

  get error(): Error | undefined {
    return this.#error
  }

  onMessage(listener: (message: ChannelMessage) => void): () => void {
    return this.#listen(this.#messages, listener)
  }

  onChange(listener: () => void): () => void {
    return this.#listen(this.#changes, listener)
  }

  async send(event: string, payload: object): Promise<string> {
    const channel = this.#channel
    if (!channel || this.#state !== 'joined') return 'not joined'
    return channel.send({ type: 'broadcast', event, payload })
  }

  async track(meta: object | undefined): Promise<void> {
    this.#meta = meta
    if (this.#state !== 'joined') return
    if (meta) await this.#channel?.track(meta as Record<string, unknown>)
    else await this.#channel?.untrack()
  }

  /** At once, whoever listens. */
  leave(): void {
    clearTimeout(this.#leaving)
    clearTimeout(this.#reopening)
    const channel = this.#channel
    this.#channel = undefined
    this.#state = 'connecting'
    this.#present = {}
    if (channel) void this.#supabase.removeChannel(channel)
  }

  /** Somebody listens again, or the page is seen again. */
  rejoin(): void {
    if (!this.#channel && this.#messages.size + this.#changes.size > 0) this.#join()
  }

  #listen<T>(listeners: Set<(told: T) => void>, listener: (told: T) => void): () => void {
    clearTimeout(this.#leaving)
    const own = (told: T) => listener(told)
    listeners.add(own)
    this.#known(true)
    this.rejoin()
    return () => {
      listeners.delete(own)
      if (this.#messages.size + this.#changes.size > 0) return
      clearTimeout(this.#leaving)
      // Whoever comes back at once finds it as it was.
      this.#leaving = setTimeout(() => {
        this.leave()
        this.#known(false)
      }, leaveAfterMs)
    }
  }

  #join(): void {
    const { private: isPrivate = false, self = false, presenceKey = '' } = this.#options
    const config = { private: isPrivate, broadcast: { self }, presence: { key: presenceKey, enabled: true } }
    const channel = this.#supabase.channel(this.topic, { config })
    this.#channel = channel
    const isOwn = () => this.#channel === channel
    channel.on('broadcast', { event: '*' }, ({ event, payload }) => {
      if (isOwn()) for (const listener of [...this.#messages]) listener({ event, payload })
    })
    channel.on('presence', { event: 'sync' }, () => {
      if (!isOwn()) return
      this.#present = { ...channel.presenceState() } as Present
      this.#tell()
    })
    channel.on('system', {}, ({ status, message }) => {
      if (status === 'error') renewToken(this.#supabase, message)
    })
    channel.subscribe((status, error) => {
      if (isOwn()) this.#became(status, error)
    })
  }

  #became(status: string, error: Error | undefined): void {
    this.#state = status === 'SUBSCRIBED' ? 'joined' : 'offline'
    renewToken(this.#supabase, error?.message)
    this.#error = status !== 'SUBSCRIBED' && this.#supabase.realtime.isConnected() ? error : undefined
    if (status === 'CLOSED') {
      this.#channel = undefined
      this.#reopening = setTimeout(() => this.rejoin(), 5_000)
    }
    if (this.#state === 'joined' && this.#meta) void this.track(this.#meta)
    this.#tell()
  }

  #tell(): void {
    for (const listener of [...this.#changes]) listener()
  }
}

/** The channels of a client: one for each topic, however many listen. */
export class LiveChannels {
  readonly #supabase: SupabaseClient
  readonly #channels = new Map<string, SharedChannel>()

  constructor(supabase: SupabaseClient) {
    this.#supabase = supabase
  }

  /** The first who asks for a topic says with which options. */
  get(topic: string, options: ChannelOptions = {}): LiveChannel {
    const known = this.#channels.get(topic)
    if (known) return known
    const channel: SharedChannel = new SharedChannel(this.#supabase, topic, options, (isListenedTo) => {
      if (isListenedTo) this.#channels.set(topic, channel)
      else this.#channels.delete(topic)
    })
    this.#channels.set(topic, channel)
    return channel
  }

  pause(): void {
    for (const channel of this.#channels.values()) channel.leave()
  }

  resume(): void {
    for (const channel of this.#channels.values()) channel.rejoin()
  }

  stop(): void {
    this.pause()
    this.#channels.clear()
  }
}
