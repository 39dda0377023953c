import type { Gap } from '../../realtime.js'
import type { RingEntry } from '../keep/change-ring.js'
import { deliver, type Match } from '../tell/deliver.js'
import type { Telling } from '../tell/told-change.js'
import { type Beholder, type ReadableColumns, undecided, type Visibility, type VisibilityAnswer } from '../visibility-port.js'
import { hasRoom } from './catch-up.js'
import type { ListenerState } from './listener-state.js'
import type { Speaker } from './speaker.js'
import { askOne } from './visibility-question.js'

export interface VerdictsOptions {
  readonly visibility: Visibility
  readonly speaker: Speaker
  /** Its client has not read what it was told so far: it goes on with this entry at its own pace. */
  readonly putOff: (state: ListenerState, entry: RingEntry) => void
  /** A change that was committed then was told to somebody who hears changes as they happen. */
  readonly told: (committedAt: Date) => void
}

/** A change, and those for whom it is known whether they may see it. */
export interface Judged {
  readonly entry: RingEntry
  readonly telling: Telling
  readonly matches: readonly Match[]
}

export const undecidedGap = ({ placed }: Telling, message: string): Gap => ({
  reason: 'undecided',
  table: placed.facts.name,
  position: placed.position,
  message,
})

/** Tells each listener as much of a change as it may see. */
export class Verdicts {
  readonly #options: VerdictsOptions
  /** By the facts of a table: for which roles its row security does not count. */
  readonly #openRoles = new WeakMap<object, Map<string, boolean>>()

  constructor(options: VerdictsOptions) {
    this.#options = options
  }

  /** False where row security is known to count for the listener. */
  mayBeOpen({ beholder }: ListenerState, { placed }: Telling): boolean {
    return this.#openRoles.get(placed.facts)?.get(beholder.role) !== false
  }

  /** Of listeners of one role. False where the answer takes time: it is asked for again with everything that waits. */
  tellAtOnce(entry: RingEntry, telling: Telling, matches: readonly Match[]): boolean {
    const answer = askOne(this.#options.visibility, telling, matches)
    if (answer === undefined) return false
    this.tell({ entry, telling, matches }, answer.answer, 0, answer.beholders)
    return true
  }

  tell(
    { entry, telling, matches }: Judged,
    answer: VisibilityAnswer,
    candidate: number,
    beholders: ReadonlyMap<Beholder, number>,
  ): void {
    const { speaker, putOff, told } = this.#options
    const verdicts = answer.verdicts[candidate]
    const { facts, committedAt } = telling.placed
    let isTold = false
    // Most listeners of a change are of one role.
    let role: string | undefined
    let readable: ReadableColumns | undefined
    for (const match of matches) {
      const { state } = match
      if (state.closed) continue
      const place = beholders.get(state.beholder)
      const verdict = (place === undefined ? undefined : verdicts?.[place]) ?? 0
      speaker.touch(state)
      if ((verdict & undecided) !== 0) {
        speaker.gap(state, undecidedGap(telling, 'Whether a change may be seen could not be found out.'))
        continue
      }
      if (!readable || state.beholder.role !== role) {
        role = state.beholder.role
        readable = answer.readable(role, facts.relation)
        this.#noteOpen(facts, role, !readable.rowSecurity)
      }
      const columns = readable
      if (verdict !== 0 && !hasRoom(state)) putOff(state, entry)
      else
        speaker.safely(state, () => {
          if (deliver(telling, match, verdict, columns) && state.replaysFrom === undefined) isTold = true
        })
    }
    if (isTold) told(committedAt)
  }

  #noteOpen(facts: object, role: string, isOpen: boolean): void {
    const roles = this.#openRoles.get(facts) ?? new Map<string, boolean>()
    this.#openRoles.set(facts, roles)
    if (roles.get(role) !== isOpen) roles.set(role, isOpen)
  }
}
