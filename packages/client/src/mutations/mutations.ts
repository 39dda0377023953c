import type { SupabaseClient } from '@supabase/supabase-js'
import type { Position } from '../position.js'
import type { AnyRow } from '../schema.js'
import { MutationError } from './mutation-error.js'
import type { Outcome, Overlay } from './overlay.js'

/** What shows overlays: the live queries. */
export interface Stage {
  show(overlay: Overlay): void
  committed(overlay: Overlay): void
  withdraw(overlay: Overlay): void
}

export interface MutationsOptions {
  readonly supabase: SupabaseClient
  readonly positionOf: (signal: AbortSignal) => Position | undefined
  readonly stage: Stage
}

export interface MutateOptions {
  /** False: it is shown when the server has answered. Default true. */
  readonly optimistic?: boolean
}

interface Answer {
  readonly data: unknown
  readonly error: { readonly message: string; readonly code?: string } | null
  readonly status: number
}

type Mutation = Pick<Overlay, 'table' | 'kind' | 'row'> & { readonly key: AnyRow; readonly values: AnyRow }

const newId = (): string =>
  globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`

/** supabase-js leaves out what is undefined, and without a filter every row would be meant. */
const requireKey = ({ table, kind, key }: Mutation): void => {
  const names = Object.keys(key)
  const missing = names.find((name) => key[name] === undefined || key[name] === null)
  if (kind === 'insert' || (names.length > 0 && missing === undefined)) return
  const what = missing === undefined ? 'names no column of a key' : `has no value for ${missing}`
  throw new MutationError(`A row of ${table} cannot be found: the key ${what}.`, { code: 'KEY_MISSING', status: 0 })
}

/** Writes rows, and shows what they will be meanwhile. */
export class Mutations {
  readonly #options: MutationsOptions

  constructor(options: MutationsOptions) {
    this.#options = options
  }

  /** Gives the row as it is in the database. Raises MutationError. */
  insert(table: string, row: AnyRow, options?: MutateOptions): Promise<AnyRow> {
    return this.#mutate({ table, kind: 'insert', row, key: {}, values: row }, options) as Promise<AnyRow>
  }

  /** `key`: the primary key. Raises MutationError, PGRST116 where there is no such row, KEY_MISSING where it has no value. */
  update(table: string, key: AnyRow, values: AnyRow, options?: MutateOptions): Promise<AnyRow> {
    return this.#mutate({ table, kind: 'update', row: { ...values, ...key }, key, values }, options) as Promise<AnyRow>
  }

  /** Raises MutationError, PGRST116 where there is no such row. */
  async delete(table: string, key: AnyRow, options?: MutateOptions): Promise<void> {
    await this.#mutate({ table, kind: 'delete', row: key, key, values: {} }, options)
  }

  async #mutate(mutation: Mutation, { optimistic = true }: MutateOptions = {}): Promise<AnyRow | undefined> {
    requireKey(mutation)
    const { stage } = this.#options
    const { table, kind, row } = mutation
    const overlay: Overlay = { id: newId(), table, kind, row, isHidden: !optimistic, outcome: undefined }
    stage.show(overlay)
    try {
      overlay.outcome = await this.#write(mutation)
    } catch (error) {
      stage.withdraw(overlay)
      throw error
    }
    overlay.isHidden = false
    stage.committed(overlay)
    return overlay.outcome.row
  }

  async #write({ table, kind, key, values }: Mutation): Promise<Outcome> {
    const { supabase, positionOf } = this.#options
    // It names the answer; a write that is under way is not broken off.
    const { signal } = new AbortController()
    const to = supabase.from(table)
    const builders = {
      insert: () => to.insert(values),
      update: () => to.update(values).match(key),
      delete: () => to.delete().match(key),
    }
    const { data, error, status } = (await builders[kind]().select().abortSignal(signal).single()) as Answer
    if (error) throw new MutationError(error.message, { code: error.code ?? '', status, cause: error })
    return { row: kind === 'delete' ? undefined : (data as AnyRow), position: positionOf(signal) }
  }
}
