import { TidemarkError } from '../../../errors.js'
import type { Position } from '../../../feed/position.js'
import type { ChangeRing } from '../keep/change-ring.js'
import type { Birth, Fresh } from './listener-state.js'
import type { FindStartPoint, StartPoint } from './start-point.js'

/** Where a listener begins. */
export interface Begin {
  /** It is told what comes after this place. */
  readonly state: { readonly from: Position; readonly ordinal: number | undefined }
  /** What it is said to begin with: at that place or later. */
  readonly start: Position
  readonly replaysFrom: number
  /** It is told of a gap first. */
  readonly lost: boolean
  readonly birth: Birth | undefined
}

export interface BeginningsOptions {
  readonly ring: ChangeRing
  readonly findStartPoint: FindStartPoint
}

/** How often a moment is looked for in which no transaction is open, where that is worth something. */
const tries = 5

/** Finds the places from which on nothing is missing. */
export class Beginnings {
  readonly #ring: ChangeRing
  readonly #find: FindStartPoint
  #fresh: Fresh | undefined

  constructor({ ring, findStartPoint }: BeginningsOptions) {
    this.#ring = ring
    this.#find = findStartPoint
  }

  /** From now on. Raises TM_REALTIME_UNAVAILABLE. */
  async now(): Promise<Begin> {
    for (;;) {
      const before = this.#head()
      const point = await this.#ask()
      // Of a history that has begun anew meanwhile, what came after that moment may be missing.
      if (this.#head().epoch !== before.epoch || !this.#ring.covers(before, undefined)) continue
      return this.#from(before, point)
    }
  }

  /** Behind a place; undefined where what comes after it is not kept. */
  at(from: Position, ordinal: number | undefined): Begin | undefined {
    if (!this.#ring.covers(from, ordinal)) return undefined
    const replaysFrom = this.#ring.after(from, ordinal)
    return { state: { from, ordinal }, start: from, replaysFrom, lost: false, birth: undefined }
  }

  /**
   * From now on, and what was before is not known: the feed may be far behind with what the client will have read by itself. Nobody goes back,
   * whoever was told more elsewhere.
   */
  async lost(told: Begin['state'] | undefined): Promise<Begin> {
    const head = this.#head()
    if (told?.from.epoch === head.epoch && told.from.number >= head.number)
      return { state: told, start: told.from, replaysFrom: this.#ring.next, lost: true, birth: undefined }
    let begin = await this.now()
    // Whoever is cut off before it is told anything comes back to the start, which had better be late.
    for (let left = tries; left > 1 && begin.start.number === begin.state.from.number; left -= 1) begin = await this.now()
    return { ...begin, lost: true }
  }

  /** A moment in a history that is read from this position on; undefined where Postgres does not say. */
  async fresh(position: Position): Promise<Fresh | undefined> {
    let fresh: Fresh | undefined
    for (let left = tries; left > 0; left -= 1) {
      const point = await this.#find().catch(() => undefined)
      if (!point) return fresh
      fresh = this.#freshOf(position, point)
      if (fresh.start.number > position.number) break
    }
    return fresh
  }

  async #ask(): Promise<StartPoint> {
    return this.#find().catch((error: unknown) => {
      throw new TidemarkError('TM_REALTIME_UNAVAILABLE', { reason: 'Postgres does not answer' }, { cause: error })
    })
  }

  #from(before: Position, point: StartPoint): Begin {
    const replaysFrom = this.#ring.after(before, undefined)
    return { state: { from: before, ordinal: undefined }, replaysFrom, lost: false, ...this.#freshOf(before, point) }
  }

  /** Those who begin at one moment share what is known of it. */
  #freshOf(position: Position, point: StartPoint): Fresh {
    const fresh = freshOf(position, point)
    const { start, birth } = this.#fresh ?? {}
    if (birth?.snapshot !== point.snapshot || start?.epoch !== fresh.start.epoch || start.number !== fresh.start.number)
      this.#fresh = fresh
    return this.#fresh ?? fresh
  }

  #head(): Position {
    const { head } = this.#ring
    if (!head) throw new TidemarkError('TM_REALTIME_UNAVAILABLE', { reason: 'the feed does not run' })
    return head
  }
}

/** Without transactions that had begun then and ended since, whatever lies before the log's end was visible. */
const freshOf = ({ epoch, number }: Position, { snapshot, logEnd, at }: StartPoint): Fresh => {
  const isExact = logEnd !== undefined && snapshot.inProgress.size === 0 && epoch.startsWith('wal-')
  const start = isExact && logEnd - 1n > number ? logEnd - 1n : number
  return { start: { epoch, number: start }, birth: { snapshot, at } }
}
