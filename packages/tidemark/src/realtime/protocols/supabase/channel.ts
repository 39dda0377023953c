import type { Connection } from '../../hub/connection.js'
import type { Frame } from '../../hub/frame.js'
import type { ChannelRights, DatabaseMessage, MessageReplay, ReplayOptions } from '../../messages/messages.js'
import type { PresenceDiff, TopicListener, TopicMessage, TopicSubscription } from '../../realtime.js'
import { type ChangeBinding, fingerprintOf, withIds } from './change-bindings.js'
import { ChannelChanges, type Cursor } from './channel-changes.js'
import type { ChannelContext } from './channel-context.js'
import { ChannelPresence } from './channel-presence.js'
import type { RegisteredChannel } from './channel-registry.js'
import {
  type ClientMessage,
  endFrame,
  pushFrame,
  type Ref,
  type ReplyStatus,
  replyFrame,
  toJson,
  type Version,
} from './frames.js'
import { expired, type Identity, identify, RefusedToken } from './identity.js'
import { initializing, JoinRefusal, toRefusal, unauthorized } from './join-refusal.js'
import { type JoinRequest, readJoin } from './join-request.js'
import type { Services } from './services.js'
import { frameOfDatabaseMessage, frameOfMessage, frameOfReplayed, framesOfDiff } from './shared-frames.js'
import { encodeBody, type TopicBody, topicOf } from './topic-body.js'

/** The client's side of a channel. */
export interface ChannelOwner {
  readonly services: Services
  readonly connection: Connection
  readonly version: Version
  /** By the key of the socket. */
  readonly identity: Identity
  /** The one object that stands for this token in all channels of the client. */
  share(identity: Identity): Identity
  /** Headers that policies may look at. */
  readonly headers: Readonly<Record<string, string>>
  /** That it has given to a message. */
  readonly highestNumber: number
  /** What names the channel over reconnects. */
  cursorOf(channel: Channel, identity: Identity, topicKey: string, fingerprint: string): Cursor
  /** It is no channel of the client's any more. `mayReturn`: whether the client will join it again where it was; undefined: as before. */
  ended(channel: Channel, mayReturn: boolean | undefined): void
}

/** After so long a token is held against the keys again. */
const confirmEveryMs = 300_000
/** What a client may send before its join is answered. */
const maxEarlyMessages = 100
const everything: ChannelRights = { broadcast: { read: true, write: true }, presence: { read: true, write: true } }

/**
 * joining ─► joined ─► ended
 *    └─ refused, or left meanwhile ─┘
 */
export class Channel implements ChannelContext, TopicListener, RegisteredChannel {
  readonly id: string
  readonly topic: string
  readonly name: string
  readonly joinRef: Ref
  /** How it is known when it comes back; undefined where nothing is told of changes. */
  cursorName: string | undefined
  /** Whether it has come back, as far as that is known. */
  #isReturning: boolean | undefined
  readonly #owner: ChannelOwner
  readonly #request: JoinRequest
  readonly #bindings: readonly ChangeBinding[]
  #state: 'joining' | 'joined' | 'ended' = 'joining'
  #identity: Identity
  #confirmAtMs = 0
  #rights = everything
  #subscription: TopicSubscription | undefined
  #changes: ChannelChanges | undefined
  #presence: ChannelPresence | undefined
  #presenceEnabled: boolean
  #replayed: ReadonlySet<string> | undefined
  /** Messages that came in while others are looked up to be told again. */
  #meanwhile: DatabaseMessage[] | undefined
  #heldFrames: Frame[] | undefined = []
  #heldBytes = 0
  #early: ClientMessage[] | undefined = []
  /** What is done one after the other. */
  #work: Promise<void> | undefined

  constructor(owner: ChannelOwner, message: ClientMessage, name: string) {
    this.#owner = owner
    this.id = owner.services.registry.newId()
    this.topic = message.topic
    this.name = name
    this.joinRef = message.joinRef ?? message.ref
    this.#request = readJoin(message.payload, name)
    this.#bindings = withIds(this.#request.changes)
    this.#presenceEnabled = this.#request.presenceEnabled
    this.#identity = owner.identity
  }

  get services(): Services {
    return this.#owner.services
  }

  get version(): Version {
    return this.#owner.version
  }

  get sent(): number {
    return this.#owner.connection.sent
  }

  get highestNumber(): number {
    return this.#owner.highestNumber
  }

  get isJoining(): boolean {
    return this.#state === 'joining'
  }

  get isEnded(): boolean {
    return this.#state === 'ended'
  }

  get isConnected(): boolean {
    return this.#owner.connection.isOpen
  }

  get hasRoom(): boolean {
    const waiting = this.#owner.connection.bufferedBytes + (this.#heldFrames ? this.#heldBytes : 0)
    return waiting < this.services.limits.maxBufferedBytes / 4
  }

  async join(message: ClientMessage): Promise<void> {
    const { log } = this.services
    const { problems } = this.#request
    if (problems.length > 0) log.info('a join could not be read in full', { problems })
    try {
      await this.#prepare()
      this.services.joinEnded('ok')
      if (this.#state === 'joining') this.#answer(message)
    } catch (error) {
      const refusal = toRefusal(error, this.name, log)
      this.services.joinEnded(refusal.code)
      if (this.#state === 'joining') this.#refuse(message, refusal)
    }
  }

  async #prepare(): Promise<void> {
    const { privateOnly, clock, findCaller } = this.services
    const { token } = this.#request
    if (privateOnly && !this.#request.private) throw new JoinRefusal('PrivateOnly', 'This project only allows private channels')
    if (!this.services.parts()) throw initializing()
    if (token !== undefined) this.#identity = this.#owner.share(await identify(findCaller, token, clock.now()))
    else if (this.#identity.expiresAtMs <= clock.now()) throw expired(this.#identity.expiresAtMs, clock.now())
    this.#confirmAtMs = clock.now() + confirmEveryMs
    this.#rights = await this.#askRights(this.#identity)
    this.#checkReplay()
    await this.#listen()
    await this.#subscribe()
  }

  async #askRights({ caller }: Identity): Promise<ChannelRights> {
    if (!this.#request.private) return everything
    const { policies } = this.services.parts() ?? {}
    if (!policies) throw new JoinRefusal('UnableToSetPolicies', 'This server has no private channels')
    const rights = await policies.check(this.name, caller, { headers: this.#owner.headers })
    if (!rights.broadcast.read && !rights.presence.read) throw unauthorized(this.name)
    return rights
  }

  #checkReplay(): void {
    const { replay } = this.#request
    if (replay === undefined) return
    const refuse = (why: string) => new JoinRefusal('UnableToReplayMessages', why)
    if (!this.#request.private) throw refuse('Replay is not allowed for public channels')
    if (replay === 'invalid') throw refuse('Replay params are not valid')
    if (!this.#rights.broadcast.read) throw unauthorized(this.name)
    if (!this.services.parts()?.replay) throw refuse('Realtime was unable to replay messages')
  }

  async #listen(): Promise<void> {
    if (this.#bindings.length === 0 || this.#state !== 'joining') return
    const changes = new ChannelChanges(this, this.#bindings, this.#request)
    const cursor = this.#owner.cursorOf(this, this.#identity, this.#topicKey, fingerprintOf(this.#bindings))
    this.cursorName = cursor.name
    this.#isReturning = cursor.returning
    await changes.listen(this.#identity.caller, cursor)
    // It may have ended while it waited.
    if (this.#state === 'joining') this.#changes = changes
    else changes.close(true)
  }

  get #topicKey(): string {
    return topicOf(this.name, this.#request.private)
  }

  async #subscribe(): Promise<void> {
    const parts = this.services.parts()
    if (this.#state !== 'joining') return
    if (!parts) throw initializing()
    // One text for both.
    const topic = this.#topicKey
    this.#subscription = parts.topics.subscribe(topic, this)
    this.services.registry.add(topic, this)
    const { replay } = this.#request
    if (replay === undefined || replay === 'invalid' || !parts.replay) return
    await this.#tellAgain(parts.replay, { since: new Date(replay.since), limit: replay.limit })
  }

  /** What comes in meanwhile may be among them, and comes after them. */
  async #tellAgain(replay: MessageReplay, options: ReplayOptions): Promise<void> {
    const live: DatabaseMessage[] = []
    this.#meanwhile = live
    const messages = await replay.replay(this.name, this.#identity.caller, options, { headers: this.#owner.headers })
    this.#meanwhile = undefined
    this.#replayed = new Set(messages.map(({ id }) => id))
    for (const message of messages) this.#sendIfAny(frameOfReplayed(message, this.version, this.topic))
    for (const message of live) this.databaseMessage(message)
  }

  #answer(message: ClientMessage): void {
    const entries = this.#bindings.map(({ id, params }) => ({ ...params, id }))
    this.#owner.connection.send(replyFrame(this.version, message, 'ok', { postgres_changes: entries }))
    this.#state = 'joined'
    this.#changes?.joined()
    if (this.#request.replicationReady && this.services.parts()?.broadcasts)
      this.system('system', 'ok', 'Replication connection established')
    if (this.#presenceEnabled && this.#rights.presence.read && !this.#request.legacy) this.#presenceOf()?.tellState()
    this.#release()
  }

  /** What was kept back, and what the client said before it had an answer. */
  #release(): void {
    this.#owner.connection.sendFrames(this.#heldFrames ?? [])
    this.#heldFrames = undefined
    this.#changes?.released()
    const early = this.#early ?? []
    this.#early = undefined
    for (const message of early) this.receive(message)
  }

  #refuse(message: ClientMessage, refusal: JoinRefusal): void {
    this.#owner.connection.send(replyFrame(this.version, message, 'error', { reason: refusal.reason }))
    this.#end(this.#isReturning)
  }

  #presenceOf(): ChannelPresence | undefined {
    if (!this.#subscription) return undefined
    this.#presence ??= new ChannelPresence(this, this.#subscription, this.#request.presenceKey)
    return this.#presence
  }

  receive(message: ClientMessage): void {
    if (this.#state === 'ended') return
    if (this.#early) {
      if (this.#early.length < maxEarlyMessages) this.#early.push(message)
      else this.reply(message, 'error', { reason: 'Too many messages before the channel is joined' })
      return
    }
    if (message.event === 'broadcast') this.#broadcast(message)
    else if (message.event === 'presence') this.#enqueue(() => this.#handlePresence(message))
    else if (message.event === 'access_token') this.#takeToken(message.payload)
    // Anything else is of no meaning, and not answered.
  }

  #enqueue(work: () => Promise<void>): void {
    const before = this.#work ?? Promise.resolve()
    const done = before
      .then(() => (this.#state === 'joined' ? work() : undefined))
      .catch((error: unknown) => this.shutdown(toRefusal(error, this.name, this.services.log).message))
      .finally(() => {
        if (this.#work === done) this.#work = undefined
      })
    this.#work = done
  }

  #broadcast(message: ClientMessage): void {
    const body = this.#bodyOf(message)
    const refuse = (reason: string): void => {
      if (this.#request.ack) this.reply(message, 'error', { reason })
    }
    if (!this.#rights.broadcast.write) {
      refuse(`You do not have permissions to write to this Channel topic: ${this.name}`)
      return
    }
    if (body === 'tooLarge') {
      refuse('payload_size_exceeded')
      return
    }
    if (body === undefined) {
      refuse('Broadcast payload must be a map')
      return
    }
    const topics = this.services.parts()?.topics
    if (!topics) {
      refuse('Realtime is restarting, please standby')
      return
    }
    const publishing = topics.publish({
      topic: this.#topicKey,
      body: encodeBody(body),
      ...(!this.#request.self && { except: this.id }),
    })
    publishing.then(
      () => this.#request.ack && this.reply(message, 'ok'),
      (error: unknown) => {
        this.services.log.warn('a broadcast was lost', { err: error })
        refuse('The message could not be sent')
      },
    )
  }

  #bodyOf({ broadcast, payload }: ClientMessage): TopicBody | 'tooLarge' | undefined {
    const { maxPayloadBytes } = this.services.limits
    if (broadcast) return broadcast.payload.length > maxPayloadBytes ? 'tooLarge' : { kind: 'user', broadcast }
    if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return undefined
    const json = toJson(payload)
    if (json === undefined) return undefined
    return Buffer.byteLength(json) > maxPayloadBytes ? 'tooLarge' : { kind: 'json', json }
  }

  async #handlePresence(message: ClientMessage): Promise<void> {
    const presence = this.#presenceOf()
    await presence?.handle(message, this.#rights.presence.write, () => {
      if (this.#presenceEnabled) return
      this.#presenceEnabled = true
      if (this.#rights.presence.read) presence.tellState()
    })
  }

  #takeToken(payload: unknown): void {
    const token = (payload as { readonly access_token?: unknown } | null | undefined)?.access_token
    if (typeof token !== 'string' || token.startsWith('sb_') || token === this.#identity.token) return
    this.#enqueue(() => this.#become(token))
  }

  /** From now on the channel is that of another token. */
  async #become(token: string): Promise<void> {
    const { findCaller, clock } = this.services
    const identity = this.#owner.share(await identify(findCaller, token, clock.now()))
    const rights = await this.#askRights(identity)
    const revoked = (['broadcast', 'presence'] as const).some((kind) => this.#rights[kind].read && !rights[kind].read)
    if (revoked) return this.shutdown(`You no longer have permission to read from this Channel topic: ${this.name}`)
    if (this.#state !== 'joined') return
    this.#identity = identity
    this.#rights = rights
    this.#confirmAtMs = clock.now() + confirmEveryMs
    await this.#changes?.setCaller(identity.caller)
  }

  sweep(): void {
    if (this.#state !== 'joined') return
    const now = this.services.clock.now()
    const { expiresAtMs, token } = this.#identity
    if (expiresAtMs <= now) this.shutdown(expired(expiresAtMs, now).message)
    else if (this.#confirmAtMs <= now) {
      this.#confirmAtMs = now + confirmEveryMs
      this.#enqueue(() => this.#confirm(token))
    }
  }

  /** Whether the keys still vouch for it. That they cannot be had at the moment says nothing against it. */
  async #confirm(token: string): Promise<void> {
    const { findCaller, clock, log } = this.services
    try {
      await identify(findCaller, token, clock.now())
    } catch (error) {
      if (error instanceof RefusedToken) throw error
      log.warn('a token could not be looked at again', { err: error })
    }
  }

  acknowledged(sent: number): void {
    this.#changes?.acknowledged(sent)
  }

  message(message: TopicMessage): void {
    if (!this.#rights.broadcast.read) return
    this.#sendIfAny(frameOfMessage(message, this.version, this.topic))
  }

  presence(diff: PresenceDiff): void {
    if (!this.#presenceEnabled || !this.#rights.presence.read) return
    for (const frame of framesOfDiff(diff, this.version, this.topic)) this.send(frame)
  }

  gap(): void {
    this.broadcastGap()
  }

  databaseMessage(message: DatabaseMessage): void {
    if (!this.#rights.broadcast.read || this.#replayed?.has(message.id)) return
    if (this.#meanwhile) this.#meanwhile.push(message)
    else this.#sendIfAny(frameOfDatabaseMessage(message, this.version, this.topic))
  }

  broadcastGap(): void {
    if (this.#rights.broadcast.read) this.system('broadcast', 'error', 'Messages may be missing')
  }

  #sendIfAny(frame: Frame | undefined): void {
    if (frame) this.send(frame)
  }

  send(frame: Frame): void {
    if (this.#state === 'ended') return
    if (!this.#heldFrames) {
      this.#owner.connection.send(frame)
      return
    }
    this.#heldFrames.push(frame)
    this.#heldBytes += frame.length
    if (this.#heldBytes > this.services.limits.maxBufferedBytes)
      this.#owner.connection.close(1013, 'too much to tell before the channel is joined', 'slow')
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

  requestAcknowledgement(): void {
    this.#owner.connection.requestAcknowledgement()
  }

  cutOffSlow(): void {
    this.#owner.connection.close(1013, 'what it is told is not read', 'slow')
  }

  /** The client leaves it. While it is joined, that is because the client has waited too long, and will come again. */
  leave(message: ClientMessage): void {
    const mayReturn = this.isJoining ? this.#isReturning : false
    this.#owner.connection.send(replyFrame(this.version, message, 'ok'))
    this.#close('phx_close', mayReturn)
  }

  /** The client joins it once more. */
  replace(): void {
    this.#close('phx_close', true)
  }

  shutdown(message: string): void {
    if (this.#state === 'ended') return
    this.services.log.info('a channel was closed', { reason: message })
    this.system('system', 'error', message)
    this.#closeAfterAll('phx_close', false)
  }

  fail(extension: string, message: string): void {
    if (this.#state === 'ended') return
    this.system(extension, 'error', message)
    this.#closeAfterAll('phx_error', true)
  }

  #closeAfterAll(event: 'phx_close' | 'phx_error', mayReturn: boolean): void {
    this.#owner.connection.sendFrames(this.#heldFrames ?? [])
    this.#close(event, mayReturn)
  }

  #close(event: 'phx_close' | 'phx_error', mayReturn: boolean | undefined): void {
    if (this.#state === 'ended') return
    this.#owner.connection.send(endFrame(this.version, this.joinRef, this.topic, event))
    this.#end(mayReturn)
  }

  /** Nothing is told any more, and nobody has to hear of it. */
  drop(mayReturn: boolean): void {
    if (this.#state !== 'ended') this.#end(mayReturn)
  }

  #end(mayReturn: boolean | undefined): void {
    this.#state = 'ended'
    this.#heldFrames = undefined
    this.#early = undefined
    // Whoever perhaps was here before may come back to where it was.
    this.#changes?.close(mayReturn !== false)
    if (this.#subscription) {
      this.#subscription.close()
      this.services.registry.delete(this.#topicKey, this)
    }
    this.#owner.ended(this, mayReturn)
  }
}
