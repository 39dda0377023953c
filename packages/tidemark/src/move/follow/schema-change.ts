/** What a change of the file's schema means for the move. */
import { TidemarkError } from '../../errors.js'
import type { SchemaWatch } from '../../sqlite/capture/capture.js'
import type { Clock } from '../../time/clock.js'

/** A table may be away for a moment while the application rebuilds it in steps. */
const graceMs = 3000

const list = (names: readonly string[]): string => names.join(', ')

export class SchemaJudge {
  readonly #path: string
  readonly #clock: Clock
  #droppedSinceMs: number | undefined
  readonly #told = new Set<string>()

  constructor(path: string, clock: Clock) {
    this.#path = path
    this.#clock = clock
  }

  /** Tables that came new and were not told of yet. */
  news({ added }: SchemaWatch): readonly string[] {
    const news = added.filter((name) => !this.#told.has(name))
    for (const name of news) this.#told.add(name)
    return news
  }

  /**
   * What is to be done: nothing, wait a moment, or arm these tables again. Raises TM_MOVE_SCHEMA_CHANGED where the plan has no place for
   * what the file holds now.
   */
  judge({ moved, dropped, reshaped, unarmed }: SchemaWatch): 'steady' | 'wait' | readonly string[] {
    if (reshaped.length > 0) throw this.#changed(`${list(reshaped)} has other columns or another key than before`)
    if (dropped.length > 0) {
      this.#droppedSinceMs ??= this.#clock.monotonicMs()
      if (this.#clock.monotonicMs() - this.#droppedSinceMs < graceMs) return 'wait'
      throw this.#changed(`${list(dropped)} is gone`)
    }
    this.#droppedSinceMs = undefined
    return moved ? unarmed : 'steady'
  }

  #changed(reason: string): TidemarkError {
    return new TidemarkError('TM_MOVE_SCHEMA_CHANGED', { path: this.#path, reason })
  }
}
