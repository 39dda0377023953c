import { jsonEqual } from '../json-equal.js'
import type { RowChange } from '../live/live-rows.js'
import { keyOf } from '../live/match-row.js'
import { type Position, reaches } from '../position.js'
import type { AnyRow } from '../schema.js'
import type { Overlay } from './overlay.js'

/** What a query knows of an overlay that it shows. */
interface Shown {
  /** Told since it is shown; while its key is not known, of all rows. */
  readonly told: RowChange[]
  /** A reading that began after the commit has come in. */
  isRead: boolean
}

/** What one live query looks at. */
export interface QueryRows {
  readonly key: readonly string[]
  get(key: string): AnyRow | undefined
  readonly position: Position | undefined
}

/** The overlays of one live query, each until the query itself has come past its commit. */
export class PendingOverlays {
  readonly #query: QueryRows
  readonly #shown = new Map<Overlay, Shown>()

  constructor(query: QueryRows) {
    this.#query = query
  }

  get list(): readonly Overlay[] {
    return [...this.#shown.keys()]
  }

  /** Some wait for the feed, or for a reading. */
  get hasCommitted(): boolean {
    return this.list.some(({ outcome }) => outcome !== undefined)
  }

  add(overlay: Overlay): void {
    this.#shown.set(overlay, { told: [], isRead: false })
  }

  delete(overlay: Overlay): boolean {
    return this.#shown.delete(overlay)
  }

  clear(): void {
    this.#shown.clear()
  }

  told(changes: readonly RowChange[]): void {
    for (const { told } of this.#shown.values()) told.push(...changes)
  }

  /** Those that are committed by now are in a reading that begins now. Call what is returned when it has come in. */
  reading(): () => void {
    const committed = this.list.filter(({ outcome }) => outcome !== undefined)
    return () => {
      for (const overlay of committed) {
        const shown = this.#shown.get(overlay)
        if (shown) shown.isRead = true
      }
    }
  }

  /** Drops those that the query has come past. True where there were any. */
  settle(): boolean {
    const settled = [...this.#shown].filter(([overlay, shown]) => this.#isSettled(overlay, shown))
    for (const [overlay] of settled) this.#shown.delete(overlay)
    return settled.length > 0
  }

  #isSettled({ kind, row, outcome }: Overlay, { told, isRead }: Shown): boolean {
    if (!outcome) return false
    const { position } = this.#query
    if (isRead || (outcome.position && position && reaches(position, outcome.position))) return true
    const key = keyOf(this.#query.key, outcome.row ?? row)
    const base = key === undefined ? undefined : this.#query.get(key)
    if (kind === 'delete') return base === undefined
    // What somebody changed since is told behind it.
    return jsonEqual(base, outcome.row) || told.some((change) => change.kind === 'put' && jsonEqual(change.row, outcome.row))
  }
}
