/** How a live query is. The table is complete by its type; SPEC.md draws it. */

export type LiveState = 'connecting' | 'catching-up' | 'live' | 'polling' | 'offline'

export type LiveEvent =
  /** The channel is joined. */
  | 'joined'
  /** Everything up to where the channel began is there. */
  | 'caughtUp'
  /** The server says that changes may be missing. */
  | 'gap'
  /** The channel is not joined any more, or tells no changes. */
  | 'lost'
  /** The channel was waited for long enough. */
  | 'waited'
  /** Rows were read. */
  | 'loaded'
  /** Nobody answered. */
  | 'loadFailed'
  /** The server answered that it does not give them. */
  | 'loadRefused'
  /** The browser says so. */
  | 'networkDown'
  | 'networkUp'

export type LiveEffect =
  /** Read the rows. */
  | 'load'
  /** Read them anew after a short while that grows. */
  | 'retry'
  /** Read them anew after the interval of polling. */
  | 'poll'
  /** Wait for the channel. */
  | 'wait'
  /** Find out whether anything is missing still: load it, or say that it is all there. */
  | 'check'
  /** A channel that is joined says so once more. */
  | 'ask'

export interface Step {
  readonly to: LiveState
  readonly effects: readonly LiveEffect[]
}

const go = (to: LiveState, ...effects: readonly LiveEffect[]): Step => ({ to, effects })

/** What each event does in each state; the table is complete. */
export const transitions: Readonly<Record<LiveState, Readonly<Record<LiveEvent, Step>>>> = {
  connecting: {
    joined: go('catching-up', 'check'),
    caughtUp: go('connecting'),
    gap: go('connecting'),
    lost: go('connecting'),
    waited: go('polling', 'load', 'ask'),
    loaded: go('connecting'),
    loadFailed: go('offline', 'poll'),
    loadRefused: go('connecting', 'retry'),
    networkDown: go('offline'),
    networkUp: go('connecting', 'load', 'ask'),
  },
  'catching-up': {
    joined: go('catching-up', 'check'),
    caughtUp: go('live'),
    gap: go('catching-up', 'load'),
    lost: go('connecting', 'wait'),
    waited: go('catching-up'),
    loaded: go('catching-up', 'check'),
    loadFailed: go('catching-up', 'retry'),
    loadRefused: go('catching-up', 'retry'),
    networkDown: go('offline'),
    networkUp: go('catching-up', 'check'),
  },
  live: {
    joined: go('catching-up', 'check'),
    caughtUp: go('live'),
    gap: go('catching-up', 'load'),
    lost: go('connecting', 'wait'),
    waited: go('live'),
    loaded: go('live'),
    loadFailed: go('live', 'retry'),
    loadRefused: go('live', 'retry'),
    networkDown: go('offline'),
    networkUp: go('live'),
  },
  polling: {
    joined: go('catching-up', 'check'),
    caughtUp: go('polling'),
    gap: go('polling'),
    lost: go('polling'),
    waited: go('polling'),
    loaded: go('polling', 'poll'),
    loadFailed: go('offline', 'poll'),
    loadRefused: go('polling', 'poll'),
    networkDown: go('offline'),
    networkUp: go('polling', 'load'),
  },
  offline: {
    joined: go('catching-up', 'check'),
    caughtUp: go('offline'),
    gap: go('offline'),
    lost: go('offline'),
    waited: go('offline'),
    loaded: go('polling', 'poll', 'ask'),
    loadFailed: go('offline', 'poll'),
    loadRefused: go('polling', 'poll', 'ask'),
    networkDown: go('offline'),
    networkUp: go('connecting', 'load', 'wait', 'ask'),
  },
}
