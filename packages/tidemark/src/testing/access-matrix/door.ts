import type { Caller, Values } from './declaration.js'
import type { Outcome } from './outcome.js'

/** A way by which callers reach rows: SQL, or an API. Nothing that is tried stays. */
export interface Door {
  /** The rows that have these values; without any, all. */
  select(caller: Caller, table: string, where: Values): Promise<Outcome>
  insert(caller: Caller, table: string, values: Values): Promise<Outcome>
  update(caller: Caller, table: string, values: Values, where: Values): Promise<Outcome>
  delete(caller: Caller, table: string, where: Values): Promise<Outcome>
}
