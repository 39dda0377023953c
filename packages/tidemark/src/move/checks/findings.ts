/** The rows on record as different, and what is to be written of them. */
import type { CheckChanges, KeptDifference } from './check-record.js'
import type { DifferingRows } from './doubts.js'
import type { Differing } from './table-comparer.js'

const nameOf = ({ table, key }: Pick<KeptDifference, 'table' | 'key'>): string => `${table}\0${key}`

export class Findings {
  readonly #kept: Map<string, KeptDifference>
  readonly #found = new Map<string, KeptDifference>()
  readonly #settled = new Map<string, KeptDifference>()
  readonly #cleared = new Set<string>()

  constructor(kept: readonly KeptDifference[]) {
    this.#kept = new Map(kept.map((difference) => [nameOf(difference), difference]))
  }

  get size(): number {
    return this.#kept.size
  }

  get all(): readonly KeptDifference[] {
    return [...this.#kept.values()]
  }

  countOf(table: string): number {
    let count = 0
    for (const difference of this.#kept.values()) if (difference.table === table) count++
    return count
  }

  add(table: string, rows: readonly Pick<Differing, 'printed' | 'state' | 'columns' | 'key' | 'texts'>[], foundAt: Date): void {
    for (const { printed, state, columns, key, texts } of rows) {
      const difference: KeptDifference = { table, key: printed, state, columns, foundAt, rowKey: key, texts }
      this.#kept.set(nameOf(difference), difference)
      this.#found.set(nameOf(difference), difference)
      this.#settled.delete(nameOf(difference))
    }
  }

  addAll(found: DifferingRows, foundAt: Date): void {
    for (const [table, rows] of found) this.add(table.name, rows, foundAt)
  }

  /** The rows are alike again. */
  settle(differences: readonly KeptDifference[]): void {
    for (const difference of differences) {
      if (!this.#kept.delete(nameOf(difference))) continue
      this.#found.delete(nameOf(difference))
      this.#settled.set(nameOf(difference), difference)
    }
  }

  /** What was found in a table means nothing any more. */
  clear(table: string): void {
    this.#cleared.add(table)
    for (const map of [this.#kept, this.#found, this.#settled]) {
      for (const [name, difference] of map) if (difference.table === table) map.delete(name)
    }
  }

  get unwritten(): Pick<CheckChanges, 'found' | 'settled' | 'cleared'> {
    return { found: [...this.#found.values()], settled: [...this.#settled.values()], cleared: [...this.#cleared] }
  }

  get isWritten(): boolean {
    return this.#found.size + this.#settled.size + this.#cleared.size === 0
  }

  /** What {@link unwritten} gave is in Postgres. */
  written(): void {
    this.#found.clear()
    this.#settled.clear()
    this.#cleared.clear()
  }
}
