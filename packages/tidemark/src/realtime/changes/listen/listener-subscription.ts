import type { Caller } from '../../../auth/caller.js'
import type { Position } from '../../../feed/position.js'
import type { Binding, ChangeSubscription } from '../../realtime.js'
import type { Cursor } from '../keep/cursor-store.js'
import type { ListenerState } from './listener-state.js'

/** What a subscription asks of the changes that it belongs to. */
export interface SubscriptionHost {
  setCaller(state: ListenerState, bindings: readonly Binding[], caller: Caller): Promise<void>
  ended(state: ListenerState): void
}

export interface ListenerSubscriptionOptions {
  readonly start: Position
  readonly head: Position
  readonly beginsWithGap: boolean
  readonly host: SubscriptionHost
  readonly state: ListenerState
  readonly cursor: Cursor | undefined
}

/** One for each channel of each client, and most of these are quiet: it should cost little. */
export class ListenerSubscription implements ChangeSubscription {
  readonly start: Position
  readonly head: Position
  readonly beginsWithGap: boolean
  readonly #host: SubscriptionHost
  readonly #state: ListenerState
  #cursor: Cursor | undefined
  #isClosed = false

  constructor({ start, head, beginsWithGap, host, state, cursor }: ListenerSubscriptionOptions) {
    this.start = start
    this.head = head
    this.beginsWithGap = beginsWithGap
    this.#host = host
    this.#state = state
    this.#cursor = cursor
  }

  setCaller(caller: Caller, bindings: readonly Binding[]): Promise<void> {
    return this.#host.setCaller(this.#state, bindings, caller)
  }

  acknowledged(position: Position): void {
    this.#cursor?.move(position)
  }

  close(mayReturn = false, number = 0): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#host.ended(this.#state)
    this.#cursor?.close(mayReturn, number)
    this.#cursor = undefined
  }
}
