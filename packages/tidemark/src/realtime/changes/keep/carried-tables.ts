import type { Position } from '../../../feed/position.js'
import type { TableId } from '../../../feed/table-id.js'

const keyOf = (schema: string, table: string): string => JSON.stringify([schema, table])

/** Tables that the feed carries only since a moment: what was changed in them before it is not kept. */
export class CarriedTables {
  /** Since when on the monotonic clock, until a position is known that comes after it. */
  readonly #since = new Map<string, number | Position>()

  added({ schema, table }: TableId, nowMs: number): void {
    this.#since.set(keyOf(schema, table), nowMs)
  }

  /** Everything before that moment has been given. */
  proven(asOf: number, position: Position): void {
    for (const [table, since] of this.#since) if (typeof since === 'number' && since <= asOf) this.#since.set(table, position)
  }

  /** Whether everything after this position is kept of the table. */
  has(schema: string, table: string, from: Position): boolean {
    const since = this.#since.get(keyOf(schema, table))
    return since === undefined || (typeof since !== 'number' && from.number >= since.number)
  }

  clear(): void {
    this.#since.clear()
  }
}
