/**
 * What the file could not take as Postgres has it: kept in `tidemark.move_differences`, where status, the checks and the gate of a rollback
 * see it. Written before the transaction of the file that it belongs to is committed, so that no difference is ever left unsaid.
 */

import type { Asker } from '../invert/id-map.js'
import type { MoveListener } from '../move.js'

interface ColumnDifference {
  readonly reason: string
  /** What Postgres holds. */
  readonly target: string | null
}

interface RowState {
  state: 'missing' | 'extra' | 'differs'
  /** Why the row is missing or too much; for one that differs, each column says so itself. */
  reason: string
  readonly columns: Map<string, ColumnDifference>
}

interface StoredDifference {
  readonly state: RowState['state']
  readonly reason?: string
  readonly columns: readonly { readonly column: string; readonly target: string | null; readonly reason: string }[]
}

/** Rows of one table that are named; more of them are counted in one entry. */
const mostNamed = 1000
const longestText = 200
const overflowKey = '(more rows)'

const nameOf = (table: string, key: string): string => `${table}\0${key}`

/** Text that jsonb and text of Postgres can hold, and nobody tires of. */
export const storable = (text: string): string =>
  text
    .slice(0, longestText)
    .replaceAll('\0', '\u2400')
    .replaceAll(/\p{Surrogate}/gu, '\uFFFD')

export class Differences {
  readonly #client: Asker
  readonly #runId: string
  readonly #onEvent: MoveListener
  readonly #rows = new Map<string, RowState>()
  readonly #named = new Map<string, number>()
  readonly #uncounted = new Map<string, number>()
  readonly #dirty = new Set<string>()
  #noted = 0

  constructor(client: Asker, runId: string, onEvent: MoveListener) {
    this.#client = client
    this.#runId = runId
    this.#onEvent = onEvent
  }

  /** Differences noted since the mirror was opened. */
  get noted(): number {
    return this.#noted
  }

  /** True where nothing is on record of this mirror, so that there is nothing to clear. */
  get isEmpty(): boolean {
    return this.#rows.size === 0
  }

  /** Reads what is on record. */
  async load(): Promise<void> {
    this.#rows.clear()
    this.#named.clear()
    this.#uncounted.clear()
    this.#dirty.clear()
    const { rows } = await this.#client.query<{
      table_name: string
      row_key: string
      difference: StoredDifference & { rows?: number }
    }>(
      "SELECT table_name, row_key, difference FROM tidemark.move_differences WHERE run_id = $1 AND difference ->> 'by' = 'mirror'",
      [this.#runId],
    )
    for (const { table_name: table, row_key: key, difference } of rows) {
      if (key === overflowKey) this.#uncounted.set(table, difference.rows ?? 0)
      else this.#put(table, key, this.#stateOf(difference))
    }
  }

  #stateOf({ state, reason, columns }: StoredDifference): RowState {
    return { state, reason: reason ?? '', columns: new Map(columns.map(({ column, ...rest }) => [column, rest])) }
  }

  #put(table: string, key: string, row: RowState): void {
    this.#rows.set(nameOf(table, key), row)
    this.#named.set(table, (this.#named.get(table) ?? 0) + 1)
  }

  #row(table: string, key: string): RowState | undefined {
    const found = this.#rows.get(nameOf(table, key))
    if (found) return found
    this.#noted += 1
    if ((this.#named.get(table) ?? 0) >= mostNamed) {
      this.#uncounted.set(table, (this.#uncounted.get(table) ?? 0) + 1)
      this.#dirty.add(nameOf(table, overflowKey))
      return undefined
    }
    const row: RowState = { state: 'differs', reason: '', columns: new Map() }
    this.#put(table, key, row)
    return row
  }

  /** A column of a row is not, or not quite, what Postgres holds. */
  column(table: string, key: string, column: string, target: string | null, reason: string): void {
    const row = this.#row(table, key)
    if (!row) return
    row.columns.set(column, { target: target === null ? null : storable(target), reason: storable(reason) })
    this.#dirty.add(nameOf(table, key))
    this.#tell(table, key, `${column}: ${reason}`)
  }

  /** A row is not in the file, or should not be in it. */
  whole(table: string, key: string, state: 'missing' | 'extra', reason: string): void {
    const row = this.#row(table, key)
    if (!row) return
    Object.assign(row, { state, reason: storable(reason) })
    this.#dirty.add(nameOf(table, key))
    this.#tell(table, key, reason)
  }

  /** Of a row, or of some of its columns, the file has now what Postgres has. */
  clear(table: string, key: string, columns?: readonly string[]): void {
    const name = nameOf(table, key)
    const row = this.#rows.get(name)
    if (!row) return
    const before = row.columns.size
    for (const column of columns ?? []) row.columns.delete(column)
    if (columns !== undefined && row.columns.size === before && row.state === 'differs') return
    this.#dirty.add(name)
    if (columns !== undefined && (row.columns.size > 0 || row.state !== 'differs')) return
    this.#rows.delete(name)
    this.#named.set(table, (this.#named.get(table) ?? 1) - 1)
  }

  /** A row has another key now. */
  rename(table: string, before: string, after: string): void {
    const row = this.#rows.get(nameOf(table, before))
    if (!row || before === after) return
    this.#rows.delete(nameOf(table, before))
    this.#rows.set(nameOf(table, after), row)
    this.#dirty.add(nameOf(table, before)).add(nameOf(table, after))
  }

  /** Everything of a table, which was made anew. */
  clearTable(table: string): void {
    for (const name of this.#rows.keys()) {
      if (!name.startsWith(`${table}\0`)) continue
      this.#rows.delete(name)
      this.#dirty.add(name)
    }
    this.#named.delete(table)
    if (this.#uncounted.delete(table)) this.#dirty.add(nameOf(table, overflowKey))
  }

  has(table: string, key: string): boolean {
    return this.#rows.has(nameOf(table, key))
  }

  #tell(table: string, key: string, reason: string): void {
    this.#onEvent({
      type: 'notice',
      message: `${table} ${storable(key)}: the file does not have it as Postgres does: ${storable(reason)}`,
    })
  }

  #stored(name: string): readonly [table: string, key: string, difference: string | null] {
    const at = name.indexOf('\0')
    const [table, key] = [name.slice(0, at), name.slice(at + 1)]
    const row = this.#rows.get(name)
    if (key === overflowKey) {
      const rows = this.#uncounted.get(table)
      return [table, key, rows === undefined ? null : JSON.stringify({ by: 'mirror', state: 'differs', rows, columns: [] })]
    }
    if (!row) return [table, key, null]
    const columns = [...row.columns].map(([column, rest]) => ({ column, source: null, ...rest }))
    return [table, key, JSON.stringify({ by: 'mirror', state: row.state, reason: row.reason, columns })]
  }

  /** Writes what changed since the last time; on its own, not in a transaction of the caller's. */
  async flush(): Promise<void> {
    if (this.#dirty.size === 0) return
    const entries = [...this.#dirty].map((name) => this.#stored(name))
    const gone = entries.filter(([, , difference]) => difference === null)
    const present = entries.filter(([, , difference]) => difference !== null)
    if (gone.length > 0) {
      await this.#client.query(
        `DELETE FROM tidemark.move_differences
          WHERE run_id = $1 AND (table_name, row_key) IN (SELECT * FROM unnest($2::text[], $3::text[]))`,
        [this.#runId, gone.map(([table]) => table), gone.map(([, key]) => key)],
      )
    }
    if (present.length > 0) {
      await this.#client.query(
        `INSERT INTO tidemark.move_differences (run_id, table_name, row_key, difference)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::jsonb[])
             ON CONFLICT (run_id, table_name, row_key) DO UPDATE SET difference = excluded.difference, found_at = now()`,
        [
          this.#runId,
          present.map(([table]) => table),
          present.map(([, key]) => key),
          present.map(([, , difference]) => difference),
        ],
      )
    }
    this.#dirty.clear()
  }
}
