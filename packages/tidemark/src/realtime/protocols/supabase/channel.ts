import type { Caller } from '../../../auth/caller.js'
import type { Frame } from '../../hub/frame.js'
import type { DatabaseMessage } from '../../messages/messages.js'
import type { PresenceDiff, TopicListener, TopicMessage, TopicSubscription } from '../../realtime.js'
import { type ChangeBinding, fingerprintOf } from './change-bindings.js'
import { broadcast } from './channel-broadcast.js'
import { ChannelChanges } from './channel-changes.js'
import type { ChannelContext } from './channel-context.js'
import { ChannelLine } from './channel-line.js'
import type { ChannelOwner, OwnedChannel } from './channel-owner.js'
import { ChannelPresence } from './channel-presence.js'
import type { RegisteredChannel } from './channel-registry.js'
import { ChannelReplay } from './channel-replay.js'
import { askRights, checkReplay, everything, isRevoked, type RightsQuestion } from './channel-rights.js'
import type { ClientMessage } from './frames.js'
import { confirm, expired, type Identity, identify } from './identity.js'
import { initializing, JoinRefusal, toRefusal } from './join-refusal.js'
import { type JoinRequest, readJoin, tokenOf } from './join-request.js'
import { frameOfDatabaseMessage, frameOfMessage, frameOfReplayed, framesOfDiff } from './shared-frames.js'
import { topicOf } from './topic-body.js'

/** After so long a token is held against the keys again. */
const confirmEveryMs = 300_000

/**
 * One topic of one client, from its join on. SPEC.md has the whole of it.
 *
 * joining ─► joined ─► ended
 *    └─ refused, or left meanwhile ─┘
 */
export class Channel extends ChannelLine implements ChannelContext, OwnedChannel, TopicListener, RegisteredChannel {
  readonly id: string
  /** How it is known when it comes back; undefined where nothing is told of changes. */
  cursorName: string | undefined
  /** Whether it has come back, as far as that is known. */
  #isReturning: boolean | undefined
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
  /** Undefined where no older messages are told. */
  #replay: ChannelReplay | undefined
  /** What is done one after the other. */
  #work: Promise<void> | undefined

  constructor(owner: ChannelOwner, message: ClientMessage, name: string) {
    super(owner, message, name)
    this.id = owner.services.registry.newId()
    const { request, bindings } = owner.services.joins.share(readJoin(message.payload, name))
    this.#request = request
    this.#bindings = bindings
    this.#presenceEnabled = this.#request.presenceEnabled
    this.#identity = owner.identity
  }

  /** As whom it was joined. */
  get caller(): Caller {
    return this.#identity.caller
  }

  get isJoining(): boolean {
    return this.#state === 'joining'
  }

  get isEnded(): boolean {
    return this.#state === 'ended'
  }

  async join(message: ClientMessage): Promise<void> {
    const { log } = this.services
    const { problems } = this.#request
    if (problems.length > 0) log.info('a join could not be read in full', { problems })
    try {
      await this.#prepare(tokenOf(message.payload))
      this.services.joinEnded('ok')
      if (this.#state === 'joining') this.#answerJoin(message)
    } catch (error) {
      const refusal = toRefusal(error, this.name, log)
      this.services.joinEnded(refusal.code)
      if (this.#state === 'joining') this.#refuse(message, refusal)
    }
  }

  async #prepare(token: string | undefined): Promise<void> {
    const { privateOnly, clock, findCaller } = this.services
    if (privateOnly && !this.#request.private) throw new JoinRefusal('PrivateOnly', 'This project only allows private channels')
    if (!this.services.parts()) throw initializing()
    if (token !== undefined) this.#identity = await identify(findCaller, token, clock.now())
    else if (this.#identity.expiresAtMs <= clock.now()) throw expired(this.#identity.expiresAtMs, clock.now())
    this.#confirmAtMs = clock.now() + confirmEveryMs
    this.#rights = await askRights(this.#question, this.#identity)
    checkReplay(this.#question, this.#rights)
    await this.#listen()
    await this.#subscribe()
  }

  get #question(): RightsQuestion {
    return { services: this.services, request: this.#request, name: this.name, headers: this.owner.headers }
  }

  async #listen(): Promise<void> {
    if (this.#bindings.length === 0 || this.#state !== 'joining') return
    const changes = new ChannelChanges(this, this.#bindings, this.#request)
    const cursor = this.owner.cursorOf(this, this.#identity, this.#topicKey, fingerprintOf(this.#bindings))
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
    const { headers } = this.owner
    const options = { since: new Date(replay.since), limit: replay.limit }
    const older = parts.replay
    this.#replay = new ChannelReplay()
    await this.#replay.run(
      () => older.replay(this.name, this.#identity.caller, options, { headers }),
      (message) => this.#sendIfAny(frameOfReplayed(message, this.version, this.topic)),
      (message) => this.databaseMessage(message),
    )
  }

  #answerJoin(message: ClientMessage): void {
    const entries = this.#bindings.map(({ id, params }) => ({ ...params, id }))
    this.answer(message, 'ok', { postgres_changes: entries })
    this.#state = 'joined'
    this.#changes?.joined()
    if (this.#request.replicationReady && this.services.parts()?.broadcasts)
      this.system('system', 'ok', 'Replication connection established')
    if (this.#presenceEnabled && this.#rights.presence.read && !this.#request.legacy) this.#presenceOf()?.tellState()
    this.#sayWithheld()
  }

  /** What was kept back, and what the client said before it had an answer. */
  #sayWithheld(): void {
    const messages = this.release()
    this.#changes?.released()
    for (const message of messages) this.receive(message)
  }

  #refuse(message: ClientMessage, refusal: JoinRefusal): void {
    this.answer(message, 'error', { reason: refusal.reason })
    this.#end(this.#isReturning)
  }

  #presenceOf(): ChannelPresence | undefined {
    if (!this.#subscription) return undefined
    this.#presence ??= new ChannelPresence(this, this.#subscription, this.#request.presenceKey)
    return this.#presence
  }

  receive(message: ClientMessage): void {
    if (this.#state === 'ended') return
    if (this.keepsBack(message)) return
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
    const mayWrite = this.#rights.broadcast.write
    void broadcast(message, { channel: this, request: this.#request, id: this.id, topicKey: this.#topicKey, mayWrite })
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
    const identity = await identify(findCaller, token, clock.now())
    const rights = await askRights(this.#question, identity)
    if (isRevoked(this.#rights, rights))
      return this.shutdown(`You no longer have permission to read from this Channel topic: ${this.name}`)
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
      this.#enqueue(() => confirm(this.services, token))
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
    if (!this.#rights.broadcast.read || this.#replay?.admits(message) === false) return
    this.#sendIfAny(frameOfDatabaseMessage(message, this.version, this.topic))
  }

  broadcastGap(): void {
    if (this.#rights.broadcast.read) this.system('broadcast', 'error', 'Messages may be missing')
  }

  #sendIfAny(frame: Frame | undefined): void {
    if (frame) this.send(frame)
  }

  /** The client leaves it. While it is joined, that is because the client has waited too long, and will come again. */
  leave(message: ClientMessage): void {
    const mayReturn = this.isJoining ? this.#isReturning : false
    this.answer(message, 'ok')
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
    this.release()
    this.#close(event, mayReturn)
  }

  #close(event: 'phx_close' | 'phx_error', mayReturn: boolean | undefined): void {
    if (this.#state === 'ended') return
    this.tellEnd(event)
    this.#end(mayReturn)
  }

  /** Nothing is told any more, and nobody has to hear of it. */
  drop(mayReturn: boolean): void {
    if (this.#state !== 'ended') this.#end(mayReturn)
  }

  #end(mayReturn: boolean | undefined): void {
    this.#state = 'ended'
    this.discard()
    // Whoever perhaps was here before may come back to where it was.
    this.#changes?.close(mayReturn !== false)
    if (this.#subscription) {
      this.#subscription.close()
      this.services.registry.delete(this.#topicKey, this)
    }
    this.#presence?.close()
    this.owner.ended(this, mayReturn)
  }
}
