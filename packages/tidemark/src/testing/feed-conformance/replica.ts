import type { Change, Row } from '../../feed/feed.js'
import type { Collected } from './collected.js'
import { named } from './collected.js'

/** A table as its feed tells it: rows by their key. Raises where a change does not fit what came before. */
export class Replica {
  readonly #key: string
  readonly rows = new Map<string, Record<string, unknown>>()

  constructor(key: string) {
    this.#key = key
  }

  apply({ changes }: Collected): void {
    for (const change of changes) this.#change(change)
  }

  /** In the order of the key. */
  get sorted(): Record<string, unknown>[] {
    return [...this.rows.entries()].sort(([a], [b]) => Number(a) - Number(b)).map(([, row]) => row)
  }

  #change(change: Change): void {
    if (change.kind === 'truncate') this.rows.clear()
    if (change.kind === 'insert') this.#put(change, change.new, undefined)
    if (change.kind === 'delete') this.#take(change, change.old)
    if (change.kind === 'update') this.#put(change, change.new, this.#take(change, change.old ?? change.new))
  }

  #keyOf(change: Change, row: Row): string {
    const key = named(change.relation, row)?.[this.#key]
    if (typeof key !== 'string') throw new Error(`a ${change.kind} tells no key`)
    return key
  }

  #take(change: Change, row: Row): Record<string, unknown> {
    const key = this.#keyOf(change, row)
    const before = this.rows.get(key)
    if (before === undefined) throw new Error(`a ${change.kind} of the row ${key}, which is not there`)
    this.rows.delete(key)
    return before
  }

  #put(change: Change, row: Row, before: Record<string, unknown> | undefined): void {
    const key = this.#keyOf(change, row)
    if (this.rows.has(key)) throw new Error(`a ${change.kind} of the row ${key}, which is there already`)
    const values = Object.entries(named(change.relation, row)!)
    // What an update leaves alone is the value of before.
    this.rows.set(key, Object.fromEntries(values.map(([name, value]) => [name, value === undefined ? before?.[name] : value])))
  }
}
