import { laterOf, type Position, reaches } from '../position.js'
import type { AnyRow } from '../schema.js'
import { type Applied, LiveRows, type RowChange } from './live-rows.js'
import type { ResolvedSpec } from './live-spec.js'

interface Turn {
  readonly changes: readonly RowChange[]
  readonly position: Position | undefined
}

/** A reading that is under way. */
export interface Reading {
  /** Where the data was when it was asked for: what is read shows at least that. */
  readonly from: Position | undefined
  /** What was told since. */
  readonly since: Turn[]
  /** The rows behind the last one are read, and those before stay. */
  readonly extends: number | undefined
}

const epochOf = (position: Position): string => position.split(':')[0]!

/** The rows of a live query, and up to where they are right. */
export class LiveData {
  readonly rows: LiveRows
  #loaded = false
  #stale = false
  #position: Position | undefined
  #until: Position | undefined
  /** Where the channel begins has still to be told. */
  #awaiting = false
  #reading: Reading | undefined

  constructor(spec: ResolvedSpec) {
    this.rows = new LiveRows(spec)
  }

  get loaded(): boolean {
    return this.#loaded
  }

  /** Only reading helps. */
  get needsLoad(): boolean {
    return !this.#loaded || this.#stale
  }

  /** Every change up to here is in the rows. */
  get position(): Position | undefined {
    return this.#position
  }

  /** Whether everything is there that was when the channel was joined. */
  get isComplete(): boolean {
    if (this.needsLoad || this.#awaiting) return false
    const [position, until] = [this.#position, this.#until]
    if (position === undefined || until === undefined) return true
    return reaches(position, until) || epochOf(position) !== epochOf(until)
  }

  /** The channel is joined: behind the position that it was given, or from now, so that what was before is not known. */
  begin(named: boolean): void {
    this.#until = undefined
    this.#awaiting = named
    if (!named) this.#stale = true
  }

  turn(changes: readonly RowChange[], position: Position | undefined, until: Position | undefined): Applied {
    this.#awaiting = false
    if (until !== undefined) this.#until = until
    this.#reading?.since.push({ changes, position })
    const isOld = position !== undefined && this.#position !== undefined && reaches(this.#position, position)
    const applied = isOld || !this.#loaded ? 'same' : this.#apply(changes)
    if (position !== undefined) this.#position = laterOf(this.#position, position)
    return applied
  }

  gap(position: Position | undefined): void {
    this.#awaiting = false
    this.#stale = true
    if (position !== undefined) this.#position = position
  }

  /** `more`: so many rows behind the last one. */
  beginReading(more?: number): Reading {
    const reading = { from: this.#position, since: [], extends: more }
    this.#reading = reading
    if (more === undefined) this.#stale = false
    // None of those behind which it is read may be pushed out meanwhile.
    else this.rows.grow(more)
    return reading
  }

  /** What was told while it was read comes on top, unless it is in it. */
  finishReading(reading: Reading, rows: readonly AnyRow[], position: Position | undefined, more: boolean): void {
    this.#reading = undefined
    const shown = laterOf(reading.from, position)
    if (reading.extends === undefined) this.rows.reset(rows, more)
    else this.rows.extend(rows, more)
    this.#loaded = true
    const whole = reading.extends === undefined
    const isIn = (told: Position | undefined) => whole && told !== undefined && shown !== undefined && reaches(shown, told)
    const later = reading.since.filter((turn) => !isIn(turn.position)).flatMap(({ changes }) => changes)
    if (whole) this.#position = laterOf(this.#position, shown)
    this.#apply(later)
  }

  failReading(reading: Reading): void {
    if (this.#reading !== reading) return
    this.#reading = undefined
    if (reading.extends === undefined) this.#stale = true
    else this.rows.grow(-reading.extends)
  }

  /** As if nothing had ever been read. */
  clear(): void {
    this.rows.clear()
    this.#loaded = false
    this.#stale = false
    this.#position = undefined
    this.#until = undefined
    this.#awaiting = false
    this.#reading = undefined
  }

  #apply(changes: readonly RowChange[]): Applied {
    let outcome: Applied = 'same'
    for (const change of changes) {
      const applied = this.rows.apply(change)
      if (applied === 'short') this.#stale = true
      if (applied !== 'same' && outcome !== 'short') outcome = applied
    }
    return outcome
  }
}
