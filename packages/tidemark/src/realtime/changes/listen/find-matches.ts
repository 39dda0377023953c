import type { Row } from '../../../feed/feed.js'
import type { ChangeEvent } from '../../realtime.js'
import type { RemoteTest } from '../filters/filter-test.js'
import type { Match } from '../tell/deliver.js'
import type { PlacedChange } from '../tell/told-change.js'
import type { RelationFacts } from '../values/relation-facts.js'
import { type BindingIndex, type Bound, nothingFound } from './binding-index.js'
import type { ListenerState } from './listener-state.js'

type ListenerBound = Bound<ListenerState>
type Which = 'now' | 'entering' | 'leaving'

/** A match that Postgres has to confirm: all of the conditions have to hold for values of this row. */
export interface Question {
  readonly match: Match
  readonly which: Which
  readonly bound: ListenerBound
  readonly tests: readonly RemoteTest[]
  readonly row: Row
  readonly facts: RelationFacts
}

export interface Matches {
  readonly matches: Match[]
  readonly questions: Question[]
  /** Whether a match of these was right cannot be said: a value that they ask for is not known. */
  readonly unknown: Set<ListenerState>
  /** Their filters speak of columns that are no more. */
  readonly stale: Set<ListenerState>
}

const events = { insert: 'INSERT', update: 'UPDATE', delete: 'DELETE' } as const

const none: readonly never[] = []

/** There is one for each listener of each change, and most have one binding. */
export const newMatch = (state: ListenerState): Match => ({
  state,
  generation: state.generation,
  life: state.life,
  now: none,
  entering: none,
  leaving: none,
})

export const addBound = (match: Match, which: Which, bound: ListenerBound): void => {
  match[which] = match[which].length === 0 ? [bound] : [...match[which], bound]
}

/** Finds who may have to be told of a change. */
export const findMatches = (
  index: BindingIndex<ListenerState>,
  { change, facts }: PlacedChange,
  concerns: (state: ListenerState) => boolean,
): Matches => {
  const byListener = new Map<ListenerState, Match>()
  const questions: Question[] = []
  const unknown = new Set<ListenerState>()
  const stale = new Set<ListenerState>()

  const matchOf = (state: ListenerState): Match => {
    let match = byListener.get(state)
    if (!match) {
      match = newMatch(state)
      byListener.set(state, match)
    }
    return match
  }

  const find = (which: Which, event: ChangeEvent, row: Row): void => {
    const found = nothingFound<ListenerState>()
    index.find(event, facts, row, found)
    for (const bound of found.hits) if (concerns(bound.listener)) addBound(matchOf(bound.listener), which, bound)
    for (const { bound, tests } of found.asking) {
      if (concerns(bound.listener)) questions.push({ match: matchOf(bound.listener), which, bound, tests, row, facts })
    }
    // An old row without all its columns is one that nobody filters by the others.
    const isWhole = which !== 'leaving' && change.kind !== 'delete'
    if (isWhole) for (const bound of found.unknown) if (concerns(bound.listener)) unknown.add(bound.listener)
    for (const bound of found.stale) stale.add(bound.listener)
  }

  if (change.kind === 'delete') find('now', events.delete, change.old)
  else find('now', events[change.kind], change.new)
  if (change.kind === 'update' && change.old !== null && facts.isFull) {
    find('entering', 'INSERT', change.new)
    find('leaving', 'DELETE', change.old)
  }
  return { matches: [...byListener.values()], questions, unknown, stale }
}
