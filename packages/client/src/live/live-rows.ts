import { jsonEqual } from '../json-equal.js'
import type { AnyRow } from '../schema.js'
import type { ResolvedSpec } from './live-spec.js'
import { compareRows, keyOf, matchRow } from './match-row.js'

/** A row as it is after a change, the key of one that is gone, or that a row has changed whose values are not told. */
export type RowChange =
  | {
      readonly kind: 'put'
      readonly row: AnyRow
      /** It was not there before, or not to be seen. */
      readonly inserted?: boolean
      /** Columns are missing that did not change. */
      readonly partial?: boolean
    }
  | { readonly kind: 'gone'; readonly row: AnyRow }
  | { readonly kind: 'unknown' }

/** `short`: which rows there are cannot be said any more without asking; those that are known are right. */
export type Applied = 'same' | 'changed' | 'short'

/** The first rows that a spec asks for, in their order. What lies behind the last of a full window is not known. */
export class LiveRows {
  readonly #spec: ResolvedSpec
  #rows: AnyRow[] = []
  readonly #byKey = new Map<string, AnyRow>()
  #limit: number | undefined
  #more = false

  constructor(spec: ResolvedSpec) {
    this.#spec = spec
    this.#limit = spec.limit
  }

  /** There may be rows behind the last. */
  get more(): boolean {
    return this.#more
  }

  get limit(): number | undefined {
    return this.#limit
  }

  get last(): AnyRow | undefined {
    return this.#rows.at(-1)
  }

  list(): readonly AnyRow[] {
    return [...this.#rows]
  }

  get(key: string): AnyRow | undefined {
    return this.#byKey.get(key)
  }

  /** Rows that were read anew. Those that are as they were stay the same objects. */
  reset(rows: readonly AnyRow[], more: boolean): void {
    const before = new Map(this.#byKey)
    this.clear()
    this.#more = more
    for (const row of rows) this.#add(this.#keyOf(row), row, before)
  }

  /** So many more are wanted from now on, or fewer. */
  grow(by: number): void {
    if (this.#limit === undefined) return
    this.#limit += by
    while (this.#rows.length > this.#limit) this.#trim()
  }

  /** The rows behind the last one. */
  extend(rows: readonly AnyRow[], more: boolean): void {
    this.#more = more
    for (const row of rows) {
      const key = this.#keyOf(row)
      if (!this.#byKey.has(key)) this.#add(key, row, this.#byKey)
    }
    // A row may have come to its place while these were read.
    this.#rows.sort((a, b) => compareRows(this.#spec, a, b))
    this.grow(0)
  }

  clear(): void {
    this.#rows = []
    this.#byKey.clear()
    this.#more = false
  }

  apply(change: RowChange): Applied {
    const key = change.kind === 'unknown' ? undefined : keyOf(this.#spec.key, change.row)
    if (change.kind === 'unknown' || key === undefined) return 'short'
    const old = this.#byKey.get(key)
    if (change.kind === 'gone') return old ? this.#lose(key, old) : 'same'
    if (change.partial && !old) return 'short'
    const row = change.partial ? { ...old, ...change.row } : change.row
    if (old && jsonEqual(old, row)) return 'same'
    if (!matchRow(this.#spec, row)) return old ? this.#lose(key, old) : 'same'
    return this.#put(key, row, old)
  }

  #keyOf(row: AnyRow): string {
    const key = keyOf(this.#spec.key, row)
    if (key === undefined)
      throw new Error(`A row of ${this.#spec.table} has no ${this.#spec.key.join(', ')}: name the primary key in \`key\``)
    return key
  }

  #add(key: string, row: AnyRow, before: ReadonlyMap<string, AnyRow>): void {
    const old = before.get(key)
    const kept = old && jsonEqual(old, row) ? old : row
    this.#rows.push(kept)
    this.#byKey.set(key, kept)
  }

  #remove(key: string, old: AnyRow): void {
    this.#byKey.delete(key)
    this.#rows.splice(this.#indexOf(old), 1)
  }

  #lose(key: string, old: AnyRow): Applied {
    this.#remove(key, old)
    return this.#more ? 'short' : 'changed'
  }

  #put(key: string, row: AnyRow, old: AnyRow | undefined): Applied {
    const moved = old ? compareRows(this.#spec, row, old) : 0
    if (old && moved === 0) {
      this.#rows[this.#indexOf(old)] = row
      this.#byKey.set(key, row)
      return 'changed'
    }
    if (old) this.#remove(key, old)
    const place = this.#placeOf(row)
    // Up to its own old place everything is known.
    const unknown = this.#more && place === this.#rows.length && !(old && moved < 0)
    if (unknown) return old ? 'short' : 'same'
    this.#rows.splice(place, 0, row)
    this.#byKey.set(key, row)
    this.#trim()
    return 'changed'
  }

  /** Where the server orders otherwise than we do, a row is not where it would be looked for. */
  #indexOf(row: AnyRow): number {
    const place = this.#placeOf(row)
    return this.#rows[place] === row ? place : this.#rows.indexOf(row)
  }

  #placeOf(row: AnyRow): number {
    let [low, high] = [0, this.#rows.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareRows(this.#spec, this.#rows[middle]!, row) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #trim(): void {
    if (this.#limit === undefined || this.#rows.length <= this.#limit) return
    const dropped = this.#rows.pop()!
    this.#byKey.delete(keyOf(this.#spec.key, dropped)!)
    this.#more = true
  }
}
