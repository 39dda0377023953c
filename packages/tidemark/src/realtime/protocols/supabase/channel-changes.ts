import type { Caller } from '../../../auth/caller.js'
import { isTidemarkError, reasonOf } from '../../../errors.js'
import type { Position } from '../../../feed/position.js'
import type { ChangeListener, ChangeSubscription, Gap, ListenOptions, VisibleChange } from '../../realtime.js'
import { type ChangeBinding, toBinding, unableToSubscribe } from './change-bindings.js'
import type { ChannelContext } from './channel-context.js'
import { namePosition, readPosition } from './channel-position.js'
import { initializing, JoinRefusal } from './join-refusal.js'
import type { JoinRequest } from './join-request.js'
import { ChangeFrameHead, frameOfChange, frameOfLegacyChange } from './shared-frames.js'

/** How a client is known when it comes back. */
export interface Cursor {
  readonly name: string
  /** Undefined where that cannot be told. */
  readonly returning: boolean | undefined
  /** What tells it from others of the name, see `ListenOptions.number`. */
  readonly number: number | undefined
}

/** What the client had been given when everything up to a position was told. */
interface Mark {
  readonly sent: number
  readonly position: Position
}

const extension = 'postgres_changes'

const isWrongBinding = (error: unknown): boolean =>
  !isTidemarkError(error) || error.code === 'TM_REALTIME_BINDING' || error.code === 'TM_REALTIME_FILTER'

const idsOf = (ids: readonly string[], bindings: readonly number[]): string =>
  bindings.length === 1 ? ids[bindings[0]!]! : [...new Set(bindings.map((index) => ids[index]!))].join(',')

const none: readonly never[] = []

/** What one channel is told of changes. */
export class ChannelChanges implements ChangeListener {
  readonly #channel: ChannelContext
  readonly #bindings: readonly ChangeBinding[]
  readonly #request: JoinRequest
  /** What its frames are made of: most channels of most clients are quiet, and should cost little. */
  #words: { readonly head: ChangeFrameHead; readonly ids: readonly string[] } | undefined
  #subscription: ChangeSubscription | undefined
  #problem: string | undefined
  /** The frames that were given to the client with its last change. */
  #toldAt = 0
  /** Of the last change, where the client keeps its position. */
  #toldPosition: Position | undefined
  #received = 0
  /** What was told before the join was answered. */
  #early: { passed?: Position } | undefined
  /** At most two: the one that is asked for, and the latest. */
  #marks: readonly Mark[] = none

  constructor(channel: ChannelContext, bindings: readonly ChangeBinding[], request: JoinRequest) {
    this.#channel = channel
    this.#bindings = bindings
    this.#request = request
  }

  /** Resolves when it is fixed from where on everything is told, or known why nothing can be. Raises JoinRefusal. */
  async listen(caller: Caller, cursor: Cursor): Promise<void> {
    const { changes } = this.#channel.services.parts() ?? {}
    if (!changes) throw initializing('Changes are not told by this server at present')
    try {
      const bindings = this.#bindings.map(toBinding)
      this.#subscription = await changes.listen({ caller, bindings, listener: this, ...this.#start(cursor) })
    } catch (error) {
      if (!isWrongBinding(error)) throw error
      this.#problem = unableToSubscribe(this.#bindings, reasonOf(error))
      if (this.#request.wait) throw new JoinRefusal('RealtimeDisabledForConfiguration', this.#problem, { cause: error })
    }
  }

  #start({ name, returning, number }: Cursor): Pick<ListenOptions, 'from' | 'ordinal' | 'cursor' | 'returning' | 'number'> {
    const { position } = this.#request
    if (position === undefined) return { cursor: name, returning, number }
    const named = position === true ? undefined : readPosition(position)
    return named === undefined ? {} : { from: named.position, ordinal: named.ordinal }
  }

  /** Right after the join was answered, before anything that was kept back. */
  joined(): void {
    this.#tellState()
    const { position } = this.#request
    if (!this.#subscription || position === undefined) return
    const { start, head = start, beginsWithGap = false } = this.#subscription
    const named = position === true ? undefined : readPosition(position)
    if (position !== true && named === undefined)
      this.gap({ reason: 'lost', position: start, message: 'The position that was named is none' })
    // Of the transaction that it stands in the client has only a part: the whole is told when the rest was.
    const isWithin = named?.ordinal !== undefined && namePosition(named.position) === namePosition(start)
    if (!isWithin && !beginsWithGap) this.#tellPosition(start, head.number > start.number ? head : start)
  }

  /** What was kept back is with the client's connection now. */
  released(): void {
    const early = this.#early
    this.#early = undefined
    if (!early) return
    this.#toldAt = this.#channel.sent
    if (early.passed) this.passed(early.passed)
  }

  #tellState(): void {
    if (this.#problem === undefined) this.#channel.system(extension, 'ok', 'Subscribed to PostgreSQL')
    else this.#channel.system(extension, 'error', this.#problem)
  }

  /** From now on for this caller. */
  async setCaller(caller: Caller): Promise<void> {
    if (!this.#subscription) return
    try {
      await this.#subscription.setCaller(caller, this.#bindings.map(toBinding))
    } catch (error) {
      // Nothing more is told on the word of the last caller.
      this.close(false)
      if (!isWrongBinding(error)) throw error
      this.#problem = unableToSubscribe(this.#bindings, reasonOf(error))
    }
    this.#tellState()
  }

  close(mayReturn: boolean): void {
    this.#subscription?.close(mayReturn, this.#channel.highestNumber)
    this.#subscription = undefined
  }

  change(change: VisibleChange, bindings: readonly number[]): void {
    const { version, topic } = this.#channel
    if (this.#request.legacy) this.#channel.send(frameOfLegacyChange(change, version, topic))
    else {
      const told = this.#request.position === undefined ? undefined : namePosition(change.position, change.ordinal)
      if (told !== undefined) this.#toldPosition = change.position
      this.#words ??= { head: new ChangeFrameHead(version, topic), ids: this.#bindings.map(({ id }) => String(id)) }
      const { head, ids } = this.#words
      this.#channel.send(frameOfChange(change, head, idsOf(ids, bindings), told))
    }
    this.#told()
  }

  #told(): void {
    if (this.#channel.isJoining) this.#early ??= {}
    else this.#toldAt = this.#channel.sent
  }

  gap({ reason, table, position, message }: Gap): void {
    const gap = { reason, ...(table !== undefined && { table }), position: namePosition(position) }
    this.#channel.system(extension, 'error', `Changes may be missing, fetch again what you show: ${message}`, { gap })
    this.#channel.system(extension, 'ok', 'Subscribed to PostgreSQL')
    this.#told()
  }

  hasRoom(): boolean {
    return this.#channel.hasRoom
  }

  isGone(): boolean {
    return this.#channel.isEnded
  }

  slow(): void {
    this.#channel.cutOffSlow()
  }

  failed(reason: string): void {
    this.#channel.fail(extension, reason)
  }

  passed(position: Position): void {
    // What was told since then went nowhere.
    if (!this.#channel.isConnected) return
    if (this.#request.position !== undefined) {
      // In the middle of a transaction the client is behind a change of it, not before all of them.
      const { epoch, number } = this.#toldPosition ?? position
      if (epoch !== position.epoch || position.number >= number) this.#tellPosition(position)
      return
    }
    if (this.#channel.isJoining) {
      this.#early = { passed: position }
      return
    }
    if (this.#toldAt <= this.#received && this.#subscription) {
      this.#subscription.acknowledged(position)
      return
    }
    const mark = { sent: this.#channel.sent, position }
    this.#marks = this.#marks.length < 2 ? [...this.#marks, mark] : [this.#marks[0]!, mark]
    this.#channel.requestAcknowledgement()
  }

  /** `until`: told that much, the client has what was there when it joined. */
  #tellPosition(position: Position, until?: Position): void {
    const name = namePosition(position)
    this.#channel.system('tidemark', 'ok', name, { position: name, ...(until && { until: namePosition(until) }) })
  }

  /** The client has received everything up to this frame. */
  acknowledged(sent: number): void {
    this.#received = sent
    const reached = this.#marks.findLast((mark) => mark.sent <= sent)
    if (!reached) return
    this.#marks = this.#marks.filter((mark) => mark.sent > sent)
    this.#subscription?.acknowledged(reached.position)
  }
}
