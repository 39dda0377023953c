/** The two kinds of decisions on an object, and the names that objects get. */
import type { ObjectDecision, TablePlan } from '../move.js'
import { type Carried, fitIdentifier, type NotCarried } from '../translate/translate.js'

type Phase = ObjectDecision['phase']

export const targetOf = (table: TablePlan) => ({ schema: table.targetSchema, name: table.target })

/** An object that Postgres gets. */
export const carried = (
  base: Pick<ObjectDecision, 'type' | 'table' | 'name'>,
  { notes }: Pick<Carried, 'notes'>,
  sql: readonly string[],
  phase: Phase,
  outcome?: 'kept' | 'translated',
): ObjectDecision => ({
  ...base,
  outcome: outcome ?? (notes.length > 0 ? 'translated' : 'kept'),
  why: notes.join('; ') || 'means the same in Postgres',
  suggestion: null,
  sql,
  phase,
})

/** An object that stays behind, named. */
export const notCarried = (
  base: Pick<ObjectDecision, 'type' | 'table' | 'name'>,
  { reason, suggestion }: NotCarried,
): ObjectDecision => ({
  ...base,
  outcome: 'notCarried',
  why: reason,
  suggestion,
  sql: [],
  phase: 'table',
})

/** Names of indexes and constraints: one space with the tables of the schema, so no two may be alike. */
export class ObjectNames {
  readonly #taken: Set<string>

  constructor(tables: readonly TablePlan[]) {
    this.#taken = new Set(tables.map(({ target }) => target))
  }

  /** The name that {@link take} would give. */
  peek(wanted: string): string {
    return fitIdentifier(wanted, this.#taken)
  }

  take(wanted: string): string {
    const name = this.peek(wanted)
    this.#taken.add(name)
    return name
  }
}
