/**
 * Values that the file holds less finely than Postgres, by the rule of their conversion: no difference, and no reason not to go back, but
 * nothing to be silent about. Kept in `tidemark.move_narrowed`, written before the transaction of the file that they belong to is committed.
 */
import type { Asker } from '../invert/id-map.js'
import type { MoveListener } from '../move.js'
import { storable } from './differences.js'

interface Entry {
  readonly table: string
  readonly column: string
  readonly key: string
  readonly target: string | null
  readonly reason: string
  count: number
}

const nameOf = (table: string, column: string): string => `${table}\0${column}`

export class Narrowed {
  readonly #client: Asker
  readonly #runId: string
  readonly #onEvent: MoveListener
  readonly #unwritten = new Map<string, Entry>()
  readonly #told = new Set<string>()
  readonly #cleared = new Set<string>()

  constructor(client: Asker, runId: string, onEvent: MoveListener) {
    this.#client = client
    this.#runId = runId
    this.#onEvent = onEvent
  }

  /** One value; `key` is asked for the first of a column only. */
  add(table: string, column: string, key: () => string, target: string | null, reason: string): void {
    const name = nameOf(table, column)
    const found = this.#unwritten.get(name)
    if (found) {
      found.count += 1
      return
    }
    const shown = this.#told.has(name) ? '' : storable(key())
    const entry = {
      table,
      column,
      key: shown,
      target: target === null ? null : storable(target),
      reason: storable(reason),
      count: 1,
    }
    this.#unwritten.set(name, entry)
    if (this.#told.has(name)) return
    this.#told.add(name)
    const message = `${table}.${column}: the file holds it less finely than Postgres (${shown}: ${entry.reason}). Such values are counted as narrowed.`
    this.#onEvent({ type: 'notice', message })
  }

  /** The table is written anew as a whole. */
  clearTable(table: string): void {
    this.#cleared.add(table)
    for (const [name, entry] of this.#unwritten) if (entry.table === table) this.#unwritten.delete(name)
    for (const name of this.#told) if (name.startsWith(`${table}\0`)) this.#told.delete(name)
  }

  /** What was counted in a transaction of the file that was rolled back. */
  forget(): void {
    for (const name of this.#unwritten.keys()) this.#told.delete(name)
    this.#unwritten.clear()
  }

  async flush(): Promise<void> {
    if (this.#cleared.size > 0) {
      await this.#client.query('DELETE FROM tidemark.move_narrowed WHERE run_id = $1 AND table_name = ANY ($2)', [
        this.#runId,
        [...this.#cleared],
      ])
      this.#cleared.clear()
    }
    const entries = [...this.#unwritten.values()]
    if (entries.length === 0) return
    await this.#client.query(
      `INSERT INTO tidemark.move_narrowed AS n (run_id, table_name, column_name, count, row_key, target, reason)
       SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
           ON CONFLICT (run_id, table_name, column_name) DO UPDATE SET count = n.count + excluded.count`,
      [
        this.#runId,
        entries.map(({ table }) => table),
        entries.map(({ column }) => column),
        entries.map(({ count }) => count),
        entries.map(({ key }) => key),
        entries.map(({ target }) => target),
        entries.map(({ reason }) => reason),
      ],
    )
    this.#unwritten.clear()
  }
}
