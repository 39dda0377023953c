import { reasonOf } from '../../../errors.js'
import type { Position } from '../../../feed/position.js'
import type { TableId } from '../../../feed/table-id.js'
import { type Logger, silentLogger } from '../../../observability/observability.js'
import { exponential } from '../../../resilience/backoff.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import type { Gap } from '../../realtime.js'
import type { AskPostgres } from '../filters/ask-postgres.js'
import type { ChangeRing, RingEntry } from '../keep/change-ring.js'
import { deliver, type Match } from '../tell/deliver.js'
import { Telling } from '../tell/told-change.js'
import { type Beholder, undecided, type Visibility, type VisibilityAnswer } from '../visibility-port.js'
import { BindingIndex } from './binding-index.js'
import { CatchUp, hasRoom } from './catch-up.js'
import { confirmQuestions } from './confirm-questions.js'
import { findMatches, newMatch } from './find-matches.js'
import type { Fresh, ListenerState } from './listener-state.js'
import { askOne, type Place, questionOf } from './visibility-question.js'
import { type Waiting, WaitingList } from './waiting-list.js'

export interface DispatcherOptions {
  readonly ring: ChangeRing
  readonly visibility: Visibility
  readonly ask: AskPostgres
  /** What waits to be judged is bounded by this; beyond it listeners are told of a gap. */
  readonly maxWaitingBytes: number
  readonly clock?: Clock
  readonly log?: Logger
  readonly onGap: (gap: Gap) => void
  /** Called when a listener has ended without closing. */
  readonly ended: (state: ListenerState) => void
}

/** A change, and those for whom it is known whether they may see it. */
interface Judged {
  readonly entry: RingEntry
  readonly telling: Telling
  readonly matches: readonly Match[]
}

interface Judgement {
  readonly answer: VisibilityAnswer | undefined
  readonly places: readonly (Place | undefined)[]
  readonly beholders: readonly Beholder[]
}

const retry = { baseMs: 50, maxMs: 2_000 }

/**
 * Brings changes to listeners, each in its order.
 *
 * ring ─► matches by index ─► answered at once ─────────────────────────────► told
 *                          └► waiting ─► Postgres' filters ─► visibility ─┘    all that has gathered is asked about together
 */
export class Dispatcher {
  readonly index = new BindingIndex<ListenerState>()
  readonly #options: DispatcherOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #states = new Set<ListenerState>()
  readonly #catchUp: CatchUp
  readonly #newborn = new Set<ListenerState>()
  readonly #touched = new Set<ListenerState>()
  readonly #openRoles = new WeakMap<object, Map<string, boolean>>()
  readonly #waiting: WaitingList
  #running = false
  #flushing = false
  readonly #stopping = new AbortController()

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.#waiting = new WaitingList(options.maxWaitingBytes)
    this.#catchUp = new CatchUp({
      ring: options.ring,
      clock: this.#clock,
      tell: (state, own, entry) => this.#tellAgain(state, own, entry),
      caughtUp: (state) => this.#goLive(state),
      missed: (state) => this.#missed(state),
      tooSlow: (state) => this.#safely(state, () => state.listener.slow?.()),
      resumed: () => this.#wake(),
      signal: this.#stopping.signal,
    })
  }

  get listeners(): number {
    return this.#states.size
  }

  /** Whether anything is under way, or waits for its turn. */
  get isBusy(): boolean {
    return this.#running || this.#flushing || !this.#catchUp.isIdle
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** From now on it is told what comes after the sequence that it replays from. */
  add(state: ListenerState): void {
    this.#states.add(state)
    if (state.birth) this.#newborn.add(state)
    this.#catchUp.add(state)
    this.#wake()
  }

  remove(state: ListenerState): void {
    state.closed = true
    this.#states.delete(state)
    this.#catchUp.delete(state)
    this.#newborn.delete(state)
    this.#touched.delete(state)
    for (const bound of state.bounds) this.index.remove(bound)
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
    for (const state of this.index.listeners(schema, table)) this.#tellGap(state, gap)
    this.#flushSoon()
  }

  /** Tells of new entries of the ring. */
  dispatch(entries: readonly RingEntry[]): void {
    for (const entry of entries) this.#dispatch(entry)
    this.#wake()
    this.#flushSoon()
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
    this.#waiting.clear()
    this.#catchUp.clear()
    this.#newborn.clear()
    for (const state of [...this.#states]) {
      const caughtUp = state.replaysFrom === undefined
      const isBehind = state.restart(position, fresh)
      if (state.birth) this.#newborn.add(state)
      if (!caughtUp) this.#goLive(state)
      if (!isBehind) continue
      this.#say(state, { reason: 'lost', position: fresh.start, message })
      // Once its client knows of that it has everything up to here.
      this.#safely(state, () => state.listener.passed(fresh.start))
    }
  }

  stop(): void {
    this.#stopping.abort()
    for (const state of [...this.#states]) this.remove(state)
    this.#waiting.clear()
  }

  #dispatch(entry: RingEntry): void {
    const { change } = entry
    if (change.kind === 'table') {
      this.#tableChanged(entry, this.index.listeners(change.table.schema, change.table.table))
      return
    }
    if (!this.index.has(change.facts)) return
    const found = findMatches(this.index, change, (state) => state.concerns(change))
    this.#take(entry, new Telling(change), found)
  }

  #take(entry: RingEntry, telling: Telling, { matches, questions, unknown, stale }: ReturnType<typeof findMatches>): void {
    for (const state of stale) this.#fail(state, 'a column that it filters by was changed')
    const later: Match[] = []
    // By role: what row security does not count for is answered at once.
    const now = new Map<string, Match[]>()
    const asking = new Set(questions.map(({ match }) => match))
    for (const match of matches) {
      if (match.state.closed) continue
      const isFree = !match.state.isWaiting && !asking.has(match) && this.#mayBeOpen(match.state, telling)
      if (!isFree) later.push(match)
      else {
        const { role } = match.state.beholder
        const same = now.get(role)
        if (same) same.push(match)
        else now.set(role, [match])
      }
    }
    for (const same of now.values()) if (!this.#tellAtOnce(entry, telling, same)) later.push(...same)
    for (const match of later) match.state.wait(entry.change.position.number)
    if (later.length > 0) this.#wait({ entry, telling, gap: undefined, matches: later, questions, bytes: entry.bytes })
    if (unknown.size > 0)
      this.#gap(entry, unknown, this.#undecided(telling, 'A value that its filter asks for is not in the log.'))
  }

  #undecided({ placed }: Telling, message: string): Gap {
    return { reason: 'undecided', table: placed.facts.name, position: placed.position, message }
  }

  #mayBeOpen({ beholder }: ListenerState, { placed }: Telling): boolean {
    return this.#openRoles.get(placed.facts)?.get(beholder.role) !== false
  }

  /** False where the answer takes time: it is asked for again with everything that waits. */
  #tellAtOnce(entry: RingEntry, telling: Telling, matches: readonly Match[]): boolean {
    const answer = askOne(this.#options.visibility, telling, matches)
    if (answer === undefined) return false
    this.#tell({ entry, telling, matches }, answer.answer, 0, answer.beholders)
    return true
  }

  #wait(waiting: Waiting): void {
    this.#waiting.push(waiting)
    if (this.#waiting.isOver) this.#giveUp()
  }

  /** Who may see what waits has not been found out for too long. */
  #giveUp(): void {
    const position = this.#options.ring.head
    for (const state of this.#waiting.clear()) {
      state.forget()
      const message = 'More changes wait than can be kept until it is known who may see them.'
      if (position) this.#say(state, { reason: 'undecided', position, message })
    }
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
      if (!state.isWaiting) this.#tellGap(state, gap)
      else {
        state.wait(gap.position.number)
        later.push(newMatch(state))
      }
    }
    if (later.length > 0) this.#wait({ entry, telling: undefined, gap, matches: later, questions: [], bytes: 0 })
  }

  #tellGap(state: ListenerState, gap: Gap): void {
    state.told(gap.position.number)
    this.#touched.add(state)
    this.#say(state, gap)
  }

  #say(state: ListenerState, gap: Gap): void {
    if (state.closed) return
    this.#options.onGap(gap)
    this.#safely(state, () => state.listener.gap(gap))
  }

  #fail(state: ListenerState, reason: string): void {
    if (state.closed) return
    this.remove(state)
    this.#options.ended(state)
    this.#log.warn('a listener is told no changes any more', { role: state.beholder.role, reason })
    this.#safely(state, () => state.listener.failed(reason))
  }

  #tell(
    { entry, telling, matches }: Judged,
    answer: VisibilityAnswer,
    candidate: number,
    beholders: ReadonlyMap<Beholder, number>,
  ): void {
    const verdicts = answer.verdicts[candidate]
    const { facts } = telling.placed
    for (const match of matches) {
      const { state } = match
      if (state.closed) continue
      const place = beholders.get(state.beholder)
      const verdict = (place === undefined ? undefined : verdicts?.[place]) ?? 0
      this.#touched.add(state)
      if ((verdict & undecided) !== 0) {
        this.#tellGap(state, this.#undecided(telling, 'Whether a change may be seen could not be found out.'))
        continue
      }
      const readable = answer.readable(state.beholder.role, facts.relation)
      this.#noteOpen(facts, state.beholder.role, !readable.rowSecurity)
      if (verdict !== 0 && !hasRoom(state)) this.#putOff(state, entry)
      else this.#safely(state, () => deliver(telling, match, verdict, readable))
    }
  }

  /** Its client has not read what it was told so far: it reads the ring from here on, at its own pace. */
  #putOff(state: ListenerState, entry: RingEntry): void {
    const { ring } = this.#options
    if (state.replaysFrom === undefined) for (const bound of state.bounds) this.index.remove(bound)
    state.putOff(entry, ring.get(entry.sequence - 1)?.change.position.number === entry.change.position.number)
    this.#catchUp.add(state)
    this.#wake()
  }

  #noteOpen(facts: object, role: string, isOpen: boolean): void {
    const roles = this.#openRoles.get(facts) ?? new Map<string, boolean>()
    this.#openRoles.set(facts, roles)
    if (roles.get(role) !== isOpen) roles.set(role, isOpen)
  }

  /** What goes wrong in a listener is nobody else's trouble. */
  #safely(state: ListenerState, work: () => void): void {
    try {
      work()
    } catch (err) {
      this.#log.error('a listener of changes failed', { err })
      this.#fail(state, 'it failed on what it was told')
    }
  }

  #flushSoon(): void {
    if (this.#flushing || this.#touched.size === 0) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.#flush()
    })
  }

  #flush(): void {
    const { head } = this.#options.ring
    if (head) for (const state of this.#touched) this.#safely(state, () => state.pass(head))
    this.#touched.clear()
  }

  /** What comes within one turn is asked about together. */
  #wake(): void {
    if (this.#running || (this.#waiting.size === 0 && this.#catchUp.size === 0)) return
    this.#running = true
    setImmediate(() => {
      void this.#run().finally(() => {
        this.#running = false
        this.#wake()
      })
    })
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let failures = 0
    while (!signal.aborted) {
      this.#catchUp.step()
      const batch = this.#waiting.cut()
      if (batch.length > 0) {
        const judged = await this.#judge(batch).catch((error: unknown) => {
          this.#log.warn('who may see changes cannot be found out; it is tried again', { reason: reasonOf(error) })
          return undefined
        })
        failures = judged ? 0 : failures + 1
        if (judged) this.#settleAll(batch, judged)
        else {
          this.#putBack(batch)
          await this.#clock.sleep(exponential(failures, retry), signal).catch(() => undefined)
        }
      }
      this.#flush()
      if (this.#waiting.size === 0 && this.#catchUp.size === 0) return
      // Sockets have their turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #putBack(batch: readonly Waiting[]): void {
    this.#waiting.putBack(batch)
    if (this.#waiting.isOver) this.#giveUp()
  }

  async #judge(batch: readonly Waiting[]): Promise<Judgement> {
    const questions = batch.flatMap((waiting) => waiting.questions)
    const refused = await confirmQuestions(this.#options.ask, questions)
    for (const waiting of batch) waiting.questions = []
    for (const [state, reason] of refused) this.#fail(state, reason)
    const { question, places } = questionOf(batch)
    const answer = question.candidates.length === 0 ? undefined : await this.#options.visibility.judge(question)
    return { answer, places, beholders: question.beholders }
  }

  #settleAll(batch: readonly Waiting[], { answer, places, beholders }: Judgement): void {
    const again: Waiting[] = []
    batch.forEach((waiting, index) => {
      this.#settle(waiting, answer, places[index], again)
    })
    if (answer) this.#failJudged(beholders, answer)
    if (again.length > 0) this.#putBack(again)
  }

  #settle(
    { entry, telling, gap, matches }: Waiting,
    answer: VisibilityAnswer | undefined,
    place: Place | undefined,
    again: Waiting[],
  ): void {
    const judged: Match[] = []
    const anew: Match[] = []
    for (const match of matches) {
      const { state } = match
      if (state.closed || match.life !== state.life) continue
      // Its caller is another since it was asked for.
      if (match.generation !== state.generation) {
        match.generation = state.generation
        anew.push(match)
        continue
      }
      state.judged()
      if (telling) judged.push(match)
      else if (gap) this.#tellGap(state, gap)
    }
    if (anew.length > 0) again.push({ entry, telling, gap, matches: anew, questions: [], bytes: 0 })
    if (!telling || judged.length === 0) return
    if (answer && place) this.#tell({ entry, telling, matches: judged }, answer, place.candidate, place.beholders)
    else for (const { state } of judged) this.#touched.add(state)
  }

  #failJudged(beholders: readonly Beholder[], answer: VisibilityAnswer): void {
    if (answer.failed.size === 0) return
    const reasons = new Map([...answer.failed].map(([index, reason]) => [beholders[index], reason]))
    for (const state of [...this.#states]) {
      const reason = reasons.get(state.beholder)
      if (reason !== undefined) this.#fail(state, reason)
    }
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
    this.#touched.add(state)
    this.#flushSoon()
  }

  #missed(state: ListenerState): void {
    const position = this.#options.ring.head
    if (!position) return
    state.restart(position, { start: position, birth: undefined })
    this.#goLive(state)
    const message = 'Changes went by faster than they could be told again.'
    this.#say(state, { reason: 'lost', position, message })
  }
}
