import { reasonOf } from '../../../errors.js'
import type { Logger } from '../../../observability/observability.js'
import { exponential } from '../../../resilience/backoff.js'
import type { Clock } from '../../../time/clock.js'
import type { AskPostgres } from '../filters/ask-postgres.js'
import type { ChangeRing } from '../keep/change-ring.js'
import type { Match } from '../tell/deliver.js'
import type { Beholder, Visibility, VisibilityAnswer } from '../visibility-port.js'
import type { CatchUp } from './catch-up.js'
import { confirmQuestions } from './confirm-questions.js'
import type { ListenerState } from './listener-state.js'
import type { Speaker } from './speaker.js'
import type { Verdicts } from './verdicts.js'
import { type Place, questionOf } from './visibility-question.js'
import { type Waiting, WaitingList } from './waiting-list.js'

export interface JudgingOptions {
  readonly ring: ChangeRing
  readonly visibility: Visibility
  readonly ask: AskPostgres
  /** What waits to be judged is bounded by this; beyond it listeners are told of a gap. */
  readonly maxWaitingBytes: number
  readonly speaker: Speaker
  readonly verdicts: Verdicts
  /** Has its turns between those of this one. */
  readonly catchUp: CatchUp
  /** All listeners there are. */
  readonly states: ReadonlySet<ListenerState>
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

interface Judgement {
  readonly answer: VisibilityAnswer | undefined
  readonly places: readonly (Place | undefined)[]
  readonly beholders: readonly Beholder[]
}

const retry = { baseMs: 50, maxMs: 2_000 }

/**
 * Finds out who may see what waits, and tells them: all that has gathered is asked about together, in the order in which it came.
 *
 * idle ─wake─► a turn: listeners that are behind read · what waits is judged · told ─► another turn, while anything is left ─► idle
 *                                                     └─ not to be found out: put back, and tried again after a pause
 */
export class Judging {
  readonly #options: JudgingOptions
  readonly #waiting: WaitingList
  #running = false

  constructor(options: JudgingOptions) {
    this.#options = options
    this.#waiting = new WaitingList(options.maxWaitingBytes)
  }

  get isRunning(): boolean {
    return this.#running
  }

  /** How much waits. */
  get size(): number {
    return this.#waiting.size
  }

  clear(): void {
    this.#waiting.clear()
  }

  wait(waiting: Waiting): void {
    this.#waiting.push(waiting)
    if (this.#waiting.isOver) this.#giveUp()
  }

  /** What comes within one turn is asked about together. */
  wake(): void {
    if (this.#running || !this.#hasWork) return
    this.#running = true
    setImmediate(() => {
      void this.#run().finally(() => {
        this.#running = false
        this.wake()
      })
    })
  }

  get #hasWork(): boolean {
    return this.#waiting.size > 0 || this.#options.catchUp.size > 0
  }

  async #run(): Promise<void> {
    const { signal, catchUp, speaker, clock, log } = this.#options
    let failures = 0
    while (!signal.aborted) {
      catchUp.step()
      const batch = this.#waiting.cut()
      if (batch.length > 0) {
        const judged = await this.#judge(batch).catch((error: unknown) => {
          log.warn('who may see changes cannot be found out; it is tried again', { reason: reasonOf(error) })
          return undefined
        })
        failures = judged ? 0 : failures + 1
        if (judged) this.#settleAll(batch, judged)
        else {
          this.#putBack(batch)
          await clock.sleep(exponential(failures, retry), signal).catch(() => undefined)
        }
      }
      speaker.flush()
      if (!this.#hasWork) return
      // Sockets have their turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #putBack(batch: readonly Waiting[]): void {
    this.#waiting.putBack(batch)
    if (this.#waiting.isOver) this.#giveUp()
  }

  /** Who may see what waits has not been found out for too long. */
  #giveUp(): void {
    const { ring, speaker } = this.#options
    const position = ring.head
    for (const state of this.#waiting.clear()) {
      state.forget()
      const message = 'More changes wait than can be kept until it is known who may see them.'
      if (position) speaker.say(state, { reason: 'undecided', position, message })
    }
  }

  async #judge(batch: readonly Waiting[]): Promise<Judgement> {
    const { ask, visibility, speaker } = this.#options
    const questions = batch.flatMap((waiting) => waiting.questions)
    const refused = await confirmQuestions(ask, questions)
    for (const waiting of batch) waiting.questions = []
    for (const [state, reason] of refused) speaker.fail(state, reason)
    const { question, places } = questionOf(batch)
    const answer = question.candidates.length === 0 ? undefined : await visibility.judge(question)
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
    const { speaker, verdicts } = this.#options
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
      else if (gap) speaker.gap(state, gap)
    }
    if (anew.length > 0) again.push({ entry, telling, gap, matches: anew, questions: [], bytes: 0 })
    if (!telling || judged.length === 0) return
    if (answer && place) verdicts.tell({ entry, telling, matches: judged }, answer, place.candidate, place.beholders)
    else for (const { state } of judged) speaker.touch(state)
  }

  #failJudged(beholders: readonly Beholder[], answer: VisibilityAnswer): void {
    if (answer.failed.size === 0) return
    const { states, speaker } = this.#options
    const reasons = new Map([...answer.failed].map(([index, reason]) => [beholders[index], reason]))
    for (const state of [...states]) {
      const reason = reasons.get(state.beholder)
      if (reason !== undefined) speaker.fail(state, reason)
    }
  }
}
