import type { AnyRow } from '../schema.js'

type Scalar = string | number | boolean

/** What is asked of one column. A bare value has to be equal; null: there is none. */
export type Condition<Value> =
  | Value
  | {
      readonly eq?: Value
      readonly neq?: Value
      readonly gt?: Value
      readonly gte?: Value
      readonly lt?: Value
      readonly lte?: Value
      readonly in?: readonly Value[]
    }

export type Direction = 'asc' | 'desc'

/** Rows of one table, kept live. All conditions have to hold. */
export interface LiveSpec<Row extends object = AnyRow> {
  readonly where?: { readonly [Column in keyof Row]?: Condition<Row[Column]> }
  /** In this order; the key decides where that leaves it open. Nulls are last upwards and first downwards, as in Postgres. */
  readonly order?: { readonly [Column in keyof Row]?: Direction }
  /** At most so many rows; undefined: all. */
  readonly limit?: number
  /** The columns of the primary key. Default `id`. */
  readonly key?: (keyof Row & string) | readonly (keyof Row & string)[]
  /**
   * Columns of `where` that no update of a row ever changes. The server then tells only rows whose values are equal; without it, it tells the
   * whole table as far as the caller may see it, since a row that leaves is told by no filter.
   */
  readonly fixed?: readonly (keyof Row & string)[]
}

export type Operator = 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte' | 'in' | 'is'

export interface Test {
  readonly column: string
  readonly operator: Operator
  readonly value: Scalar | null | readonly Scalar[]
}

export interface OrderBy {
  readonly column: string
  readonly direction: Direction
}

/** A spec with everything in it. */
export interface ResolvedSpec {
  readonly table: string
  readonly tests: readonly Test[]
  /** Ends with the key, so that it is total. */
  readonly order: readonly OrderBy[]
  readonly limit: number | undefined
  readonly key: readonly string[]
  /** `column=eq.value` for the server; undefined for the whole table. */
  readonly filter: string | undefined
  /** The same for the same spec. */
  readonly name: string
}

const isOperators = (value: unknown): value is object => typeof value === 'object' && value !== null

const testsOf = (where: object): readonly Test[] =>
  Object.entries(where).flatMap(([column, asked]): readonly Test[] => {
    if (asked === undefined) return []
    if (!isOperators(asked)) return [{ column, operator: asked === null ? 'is' : 'eq', value: asked }]
    return Object.entries(asked).map(([operator, value]) => ({ column, operator: operator as Operator, value }))
  })

/** Text in quotes may hold commas and the like. */
const filterValue = (value: unknown): string => {
  const text = String(value)
  return /[,()"\\\s]/.test(text) ? `"${text.replaceAll(/["\\]/g, '\\$&')}"` : text
}

const filterOf = (tests: readonly Test[], fixed: readonly string[]): string | undefined => {
  const told = tests.filter(({ column, operator }) => operator === 'eq' && fixed.includes(column))
  return told.length === 0 ? undefined : told.map(({ column, value }) => `${column}=eq.${filterValue(value)}`).join(',')
}

export const resolveSpec = (table: string, spec: LiveSpec): ResolvedSpec => {
  const { where = {}, order = {}, limit, key = 'id', fixed = [] } = spec
  const columns = typeof key === 'string' ? [key] : key
  const tests = testsOf(where)
  const asked = Object.entries(order).flatMap(([column, direction]) => (direction ? [{ column, direction }] : []))
  const rest = columns.filter((column) => !asked.some((entry) => entry.column === column))
  const whole = {
    table,
    tests,
    order: [...asked, ...rest.map((column) => ({ column, direction: 'asc' as const }))],
    limit,
    key: columns,
    filter: filterOf(tests, [...columns, ...fixed]),
  }
  return { ...whole, name: JSON.stringify(whole) }
}
