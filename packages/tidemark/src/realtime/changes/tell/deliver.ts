import type { ChangeEvent } from '../../realtime.js'
import type { Bound } from '../listen/binding-index.js'
import type { ListenerState } from '../listen/listener-state.js'
import type { Selection } from '../values/relation-facts.js'
import { type ReadableColumns, seesNew, seesOld, type Verdict } from '../visibility-port.js'
import type { Telling } from './told-change.js'

type ListenerBound = Bound<ListenerState>

/** The bindings of one listener that one change may concern. */
export interface Match {
  readonly state: ListenerState
  /** Of the listener when it was found. */
  generation: number
  /** Void where the listener has begun anew since. */
  readonly life: number
  /** By the event as it happened. */
  now: readonly ListenerBound[]
  /** Of an update, should the row come into the listener's sight by it. */
  entering: readonly ListenerBound[]
  /** Should it leave it. */
  leaving: readonly ListenerBound[]
}

/**
 * What the change is for whoever sees this much of it. A row that comes into sight is inserted, one that leaves it deleted. Undefined: nothing.
 */
const eventFor = (telling: Telling, verdict: Verdict, { rowSecurity }: ReadableColumns): ChangeEvent | undefined => {
  const { change, facts } = telling.placed
  const [old, now] = [(verdict & seesOld) !== 0, (verdict & seesNew) !== 0]
  if (change.kind === 'insert') return now ? 'INSERT' : undefined
  // In sight only where the log told everything that the policies read: all of the row, or a key that they ask for no more than.
  if (change.kind === 'delete') return !rowSecurity || old ? 'DELETE' : undefined
  // Where the log tells nothing of the old row, nobody knows whether it was in sight.
  if (!rowSecurity || !facts.isFull || change.old === null) return now ? 'UPDATE' : undefined
  if (now) return old ? 'UPDATE' : 'INSERT'
  return old ? 'DELETE' : undefined
}

const boundsFor = (match: Match, kind: 'insert' | 'update' | 'delete', event: ChangeEvent): readonly ListenerBound[] => {
  if (kind !== 'update' || event === 'UPDATE') return match.now
  return event === 'INSERT' ? match.entering : match.leaving
}

/** A filter on a column that the role may not read (any more) would tell of its values. */
const mayFilter = ({ tests }: ListenerBound, columns: ReadonlySet<string>): boolean =>
  tests.every(({ column }) => columns.has(column))

const tell = (
  telling: Telling,
  match: Match,
  event: ChangeEvent,
  readable: ReadableColumns,
  selection: Selection | undefined,
  bindings: readonly number[],
): boolean => {
  const told = telling.tell(event, telling.placed.facts.view(readable, selection))
  if (told) match.state.listener.change(told, bindings)
  return told !== undefined
}

/** Tells a listener what it may know of a change. False where that is nothing. */
export const deliver = (telling: Telling, match: Match, verdict: Verdict, readable: ReadableColumns): boolean => {
  const { state } = match
  state.told(telling.placed.position.number)
  const event = eventFor(telling, verdict, readable)
  if (event === undefined) return false
  let bounds = boundsFor(match, telling.placed.change.kind, event)
  if (bounds.some(({ tests }) => tests.length > 0)) bounds = bounds.filter((bound) => mayFilter(bound, readable.columns))
  const [first] = bounds
  if (!first) return false
  if (bounds.length === 1) return tell(telling, match, event, readable, first.selection, [first.binding])
  const bySelection = new Map<Selection | undefined, number[]>()
  for (const { selection, binding } of bounds) {
    const bindings = bySelection.get(selection)
    if (bindings) bindings.push(binding)
    else bySelection.set(selection, [binding])
  }
  let isTold = false
  for (const [selection, bindings] of bySelection) {
    if (state.closed) break
    bindings.sort((a, b) => a - b)
    isTold = tell(telling, match, event, readable, selection, bindings) || isTold
  }
  return isTold
}
