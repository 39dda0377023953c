import type { Position } from '../../../feed/position.js'
import type { TableId } from '../../../feed/table-id.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import type { Gap } from '../../realtime.js'
import type { AskPostgres } from '../filters/ask-postgres.js'
import type { ChangeRing, RingEntry } from '../keep/change-ring.js'
import type { Match } from '../tell/deliver.js'
import { Telling } from '../tell/told-change.js'
import type { Beholder, Visibility } from '../visibility-port.js'
import { BindingIndex } from './binding-index.js'
import { CatchUp } from './catch-up.js'
import { findMatches, newMatch } from './find-matches.js'
import { Judging } from './judging.js'
import type { Fresh, ListenerState } from './listener-state.js'
import { Speaker } from './speaker.js'
import { undecidedGap, Verdicts } from './verdicts.js'

export interface DispatcherOptions {
  readonly ring: ChangeRing
  readonly visibility: Visibility
  readonly ask: AskPostgres
  /** What waits to be judged is bounded by this; beyond it listeners are told of a gap. */
  readonly maxWaitingBytes: number
  readonly clock?: Clock
  readonly log?: Logger
  readonly onGap: (gap: Gap) => void
  /** A change was told to somebody who hears changes as they happen, so long after its commit. */
  readonly onTold?: (lagMs: number) => void
  /** Called when a listener has ended without closing. */
  readonly ended: (state: ListenerState) => void
}

/**
 * Brings changes to listeners, each in its order.
 *
 * ring ─► matches by index ─► answered at once ─────────────────────► verdicts ─► told
 *                          └► judging: Postgres' filters ─► visibility ─┘
 */
export class Dispatcher {
  readonly index = new BindingIndex<ListenerState>()
  readonly #options: DispatcherOptions
  readonly #states = new Set<ListenerState>()
  readonly #newborn = new Set<ListenerState>()
  readonly #catchUp: CatchUp
  readonly #speaker: Speaker
  readonly #verdicts: Verdicts
  readonly #judging: Judging
  readonly #stopping = new AbortController()

  constructor(options: DispatcherOptions) {
    const { ring, visibility, ask, maxWaitingBytes, clock = systemClock, log = silentLogger, onGap, onTold } = options
    const { signal } = this.#stopping
    this.#options = options
    this.#speaker = new Speaker({ ring, log, onGap, failed: (state) => this.#failed(state) })
    this.#verdicts = new Verdicts({
      visibility,
      speaker: this.#speaker,
      putOff: (state, entry) => this.#putOff(state, entry),
      told: (committedAt) => onTold?.(clock.now() - committedAt.getTime()),
    })
    this.#catchUp = new CatchUp({
      ring,
      clock,
      tell: (state, own, entry) => this.#tellAgain(state, own, entry),
      caughtUp: (state) => this.#goLive(state),
      missed: (state) => this.#missed(state),
      tooSlow: (state) => this.#speaker.safely(state, () => state.listener.slow?.()),
      resumed: () => this.#judging.wake(),
      signal,
    })
    this.#judging = new Judging({
      ring,
      visibility,
      ask,
      maxWaitingBytes,
      speaker: this.#speaker,
      verdicts: this.#verdicts,
      catchUp: this.#catchUp,
      states: this.#states,
      clock,
      log,
      signal,
    })
  }

  get listeners(): number {
    return this.#states.size
  }

  /** Whether anything is under way, or waits for its turn. */
  get isBusy(): boolean {
    return this.#judging.isRunning || this.#speaker.isBusy || !this.#catchUp.isIdle
  }

  get waiting(): number {
    return this.#judging.size
  }

  /** From now on it is told what comes after the sequence that it replays from. */
  add(state: ListenerState): void {
    this.#states.add(state)
    if (state.birth) this.#newborn.add(state)
    this.#catchUp.add(state)
    this.#judging.wake()
  }

  remove(state: ListenerState): void {
    state.closed = true
    this.#states.delete(state)
    this.#catchUp.delete(state)
    this.#newborn.delete(state)
    this.#speaker.forget(state)
    for (const bound of state.bounds) this.index.remove(bound)
  }

  #failed(state: ListenerState): void {
    this.remove(state)
    this.#options.ended(state)
  }

  /** What it asks for, and who asks, from now on. */
  rebind(state: ListenerState, bounds: ListenerState['bounds'], beholder: Beholder): void {
    if (state.replaysFrom === undefined) {
      for (const bound of state.bounds) this.index.remove(bound)
      for (const bound of bounds) this.index.add(bound)
    }
    state.bounds = bounds
    state.beholder = beholder
    state.generation += 1
  }

  /** Tells everybody who asked for the table. */
  announce({ schema, table }: TableId, gap: Gap): void {
    for (const state of this.index.listeners(schema, table)) this.#speaker.gap(state, gap)
    this.#speaker.flushSoon()
  }

  /** Tells of new entries of the ring. */
  dispatch(entries: readonly RingEntry[]): void {
    for (const entry of entries) this.#dispatch(entry)
    this.#judging.wake()
    this.#speaker.flushSoon()
  }

  /** Everything before that moment has been given. */
  proven(asOf: number): void {
    for (const state of this.#newborn) {
      if (state.birth && state.birth.at > asOf) continue
      state.birth = undefined
      this.#newborn.delete(state)
    }
  }

  /** Everything up to the head of the ring is told, or was nothing. */
  passAll(): void {
    const { head } = this.#options.ring
    if (head) for (const state of this.#states) state.pass(head)
  }

  /** The history has another past: nobody knows what is missing. `fresh`: what was visible by then is not told. */
  restart(position: Position, message: string, fresh: Fresh = { start: position, birth: undefined }): void {
    this.#judging.clear()
    this.#catchUp.clear()
    this.#newborn.clear()
    for (const state of [...this.#states]) {
      const caughtUp = state.replaysFrom === undefined
      const isBehind = state.restart(position, fresh)
      if (state.birth) this.#newborn.add(state)
      if (!caughtUp) this.#goLive(state)
      if (!isBehind) continue
      this.#speaker.say(state, { reason: 'lost', position: fresh.start, message })
      // Once its client knows of that it has everything up to here.
      this.#speaker.safely(state, () => state.listener.passed(fresh.start))
    }
  }

  stop(): void {
    this.#stopping.abort()
    for (const state of [...this.#states]) this.remove(state)
    this.#judging.clear()
  }

  #dispatch(entry: RingEntry): void {
    const { change } = entry
    if (change.kind === 'table') {
      this.#tableChanged(entry, this.index.listeners(change.table.schema, change.table.table))
      return
    }
    if (!this.index.has(change.facts)) return
    const seesNothing = this.#options.visibility.seesNothing?.(change.change)
    const found = findMatches(this.index, change, (state) => !seesNothing?.(state.beholder) && state.concerns(change))
    this.#take(entry, new Telling(change), found)
  }

  #take(entry: RingEntry, telling: Telling, { matches, questions, unknown, stale }: ReturnType<typeof findMatches>): void {
    for (const state of stale) this.#speaker.fail(state, 'a column that it filters by was changed')
    const later: Match[] = []
    // By role: what row security does not count for is answered at once.
    const now = new Map<string, Match[]>()
    const asking = new Set(questions.map(({ match }) => match))
    for (const match of matches) {
      if (match.state.closed) continue
      const isFree = !match.state.isWaiting && !asking.has(match) && this.#verdicts.mayBeOpen(match.state, telling)
      if (!isFree) later.push(match)
      else {
        const { role } = match.state.beholder
        const same = now.get(role)
        if (same) same.push(match)
        else now.set(role, [match])
      }
    }
    for (const same of now.values()) if (!this.#verdicts.tellAtOnce(entry, telling, same)) later.push(...same)
    for (const match of later) match.state.wait(entry.change.position.number)
    if (later.length > 0) this.#judging.wait({ entry, telling, gap: undefined, matches: later, questions, bytes: entry.bytes })
    if (unknown.size > 0) this.#gap(entry, unknown, undecidedGap(telling, 'A value that its filter asks for is not in the log.'))
  }

  #tableChanged(entry: RingEntry, states: Iterable<ListenerState>): void {
    const { change } = entry
    if (change.kind !== 'table') return
    const table = `${change.table.schema}.${change.table.table}`
    const message = `More changed in ${table} at once than is told row by row, or it was emptied.`
    this.#gap(entry, states, { reason: 'tableChanged', table, position: change.position, message })
  }

  /** Tells it behind what still waits. */
  #gap(entry: RingEntry, states: Iterable<ListenerState>, gap: Gap): void {
    const later: Match[] = []
    for (const state of states) {
      if (state.closed || !state.concerns(entry.change)) continue
      if (!state.isWaiting) this.#speaker.gap(state, gap)
      else {
        state.wait(gap.position.number)
        later.push(newMatch(state))
      }
    }
    if (later.length > 0) this.#judging.wait({ entry, telling: undefined, gap, matches: later, questions: [], bytes: 0 })
  }

  /** Its client has not read what it was told so far: it reads the ring from here on, at its own pace. */
  #putOff(state: ListenerState, entry: RingEntry): void {
    const { ring } = this.#options
    if (state.replaysFrom === undefined) for (const bound of state.bounds) this.index.remove(bound)
    state.putOff(entry, ring.get(entry.sequence - 1)?.change.position.number === entry.change.position.number)
    this.#catchUp.add(state)
    this.#judging.wake()
  }

  #tellAgain(state: ListenerState, own: BindingIndex<ListenerState>, entry: RingEntry): void {
    const { change } = entry
    if (change.kind === 'table') {
      if (own.listeners(change.table.schema, change.table.table).size > 0) this.#tableChanged(entry, [state])
    } else if (own.has(change.facts)) {
      this.#take(
        { ...entry, bytes: 0 },
        new Telling(change),
        findMatches(own, change, () => true),
      )
    }
  }

  #goLive(state: ListenerState): void {
    state.replaysFrom = undefined
    this.#catchUp.delete(state)
    if (state.closed) return
    for (const bound of state.bounds) this.index.add(bound)
    this.#speaker.touch(state)
    this.#speaker.flushSoon()
  }

  #missed(state: ListenerState): void {
    const position = this.#options.ring.head
    if (!position) return
    state.restart(position, { start: position, birth: undefined })
    this.#goLive(state)
    const message = 'Changes went by faster than they could be told again.'
    this.#speaker.say(state, { reason: 'lost', position, message })
  }
}
