import type { Position } from '../../../feed/position.js'
import type { TableId } from '../../../feed/table-id.js'

const keyOf = (schema: string, table: string): string => JSON.stringify([schema, table])

/** Tables that the feed carries only since a moment: what was changed in them before it is not kept. */
export class CarriedTables {
  /** Since when on the monotonic clock, until a position is known that comes after it. */
  readonly #since = new Map<string, number | Position>()
  /** Those of which no such position is known yet. */
  #unplaced = 0

  added({ schema, table }: TableId, nowMs: number): void {
    const key = keyOf(schema, table)
    if (typeof this.#since.get(key) !== 'number') this.#unplaced++
    this.#since.set(key, nowMs)
  }

  /** Everything before that moment has been given. */
  proven(asOf: number, position: Position): void {
    if (this.#unplaced === 0) return
    for (const [table, since] of this.#since) if (typeof since === 'number' && since <= asOf) this.#place(table, position)
  }

  /** A change of the table was given: so is all that comes after it. */
  saw({ schema, table }: TableId, position: Position): void {
    if (this.#unplaced === 0) return
    const key = keyOf(schema, table)
    if (typeof this.#since.get(key) === 'number') this.#place(key, position)
  }

  #place(table: string, position: Position): void {
    this.#since.set(table, position)
    this.#unplaced--
  }

  /** Whether everything after this position is kept of the table. */
  has(schema: string, table: string, from: Position): boolean {
    const since = this.#since.get(keyOf(schema, table))
    return since === undefined || (typeof since !== 'number' && from.number >= since.number)
  }

  clear(): void {
    this.#since.clear()
    this.#unplaced = 0
  }
}
