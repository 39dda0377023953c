import type { Value } from '../../../feed/feed.js'
import { createLike } from '../values/like.js'
import type { ColumnFacts } from '../values/table-catalogue.js'
import { type ValueKind, valueKind } from '../values/value-kind.js'
import type { FilterOperator, FilterTerm } from './filter-text.js'

/** `false` also where Postgres would say null: nothing that is not certain is told. Undefined where the value is not known. */
export type Held = boolean | undefined

/** A condition that is decided here. */
export interface LocalTest {
  readonly where: 'here'
  readonly column: string
  readonly typeOid: number
  holds(value: Value): Held
  /** The keys of which one has to be the value's, for the conditions that can be looked up. */
  readonly keys: readonly string[] | undefined
  readonly kind: ValueKind | undefined
}

/** A condition that only Postgres decides: `value op operand`. */
export interface RemoteTest {
  readonly where: 'postgres'
  readonly column: string
  readonly typeOid: number
  readonly operator: FilterOperator
  readonly negated: boolean
  readonly operand: string
  /** What the values are cast to. */
  readonly sqlType: string
  readonly searchPath: string
  readonly collation: string | undefined
  /** Equal conditions are asked about once. */
  readonly id: string
}

export type FilterTest = LocalTest | RemoteTest

const comparisons: Partial<Record<FilterOperator, (order: number) => boolean>> = {
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
  gt: (order) => order > 0,
  gte: (order) => order >= 0,
}

type Shape = Pick<LocalTest, 'where' | 'column' | 'typeOid'>

const shapeOf = ({ column }: FilterTerm, { type }: ColumnFacts): Shape => ({ where: 'here', column, typeOid: type.oid })

/** A condition on texts that null never fulfils, negated or not. */
const strict = (shape: Shape, negated: boolean, test: (text: string) => Held): LocalTest => ({
  ...shape,
  keys: undefined,
  kind: undefined,
  holds: (value) => {
    if (value === undefined) return undefined
    if (value === null) return false
    const held = test(value)
    return held === undefined ? undefined : held !== negated
  },
})

const equality = (shape: Shape, kind: ValueKind, operand: string, negated: boolean): LocalTest => {
  const key = kind.key(operand)
  const test = strict(shape, negated, (text) => {
    const own = kind.key(text)
    return own === undefined ? undefined : own === key
  })
  return { ...test, kind, keys: negated || key === undefined ? undefined : [key] }
}

/** Of a list with a null in it nothing is ever surely outside. */
const membership = (shape: Shape, kind: ValueKind, operands: readonly (string | null)[], negated: boolean): LocalTest => {
  const keys = new Set(operands.flatMap((operand) => (operand === null ? [] : [kind.key(operand) ?? ''])))
  const hasNull = operands.includes(null)
  const test = strict(shape, false, (text) => {
    const own = kind.key(text)
    if (own === undefined) return undefined
    if (keys.has(own)) return !negated
    return hasNull ? false : negated
  })
  // Nothing is in an empty list, not even null.
  const holds = (value: Value): Held => (operands.length === 0 && value !== undefined ? negated : test.holds(value))
  return { ...test, holds, kind, keys: negated ? undefined : [...keys] }
}

const distinct = (shape: Shape, kind: ValueKind, operand: string, negated: boolean): LocalTest => {
  const key = kind.key(operand)
  return {
    ...shape,
    keys: undefined,
    kind,
    holds: (value) => {
      if (value === undefined) return undefined
      const differs = value === null || kind.key(value) !== key
      return differs !== negated
    },
  }
}

const words: Readonly<Record<string, string | null>> = { null: null, unknown: null, true: 't', false: 'f' }

/** The values that `is` takes. */
export const isWord = (value: string): boolean => Object.hasOwn(words, value)

const identity = (shape: Shape, word: string, negated: boolean): LocalTest => ({
  ...shape,
  keys: undefined,
  kind: undefined,
  holds: (value) => (value === undefined ? undefined : (value === words[word]) !== negated),
})

/** What the operand is, as Postgres writes it: of `in` its elements. */
export type Operand = string | readonly (string | null)[]

/** The condition as it is decided here; undefined where Postgres has to be asked. */
export const localTest = (term: FilterTerm, column: ColumnFacts, operand: Operand): LocalTest | undefined => {
  const { operator, negated } = term
  const shape = shapeOf(term, column)
  if (operator === 'is') return identity(shape, term.value, negated)
  const kind = valueKind(column.type.baseOid, column)
  if (!kind) return undefined
  if (typeof operand !== 'string') return operator === 'in' ? membership(shape, kind, operand, negated) : undefined
  switch (operator) {
    case 'eq':
      return equality(shape, kind, operand, negated)
    case 'neq':
      return equality(shape, kind, operand, !negated)
    case 'isdistinct':
      return distinct(shape, kind, operand, negated)
    case 'like': {
      const like = kind.pattern ? createLike(operand) : undefined
      return like && strict(shape, negated, like)
    }
    default: {
      const holds = comparisons[operator]
      const { compare } = kind
      if (!holds || !compare) return undefined
      return strict(shape, negated, (text) => {
        const order = compare(text, operand)
        return order === undefined ? undefined : holds(order)
      })
    }
  }
}

/** The condition as Postgres is asked about it. */
export const remoteTest = ({ operator, negated, value }: FilterTerm, column: ColumnFacts): RemoteTest => {
  const { name, type, collationName: collation } = column
  const operand = operator === 'in' ? `{${value}}` : value
  return {
    where: 'postgres',
    column: name,
    typeOid: type.oid,
    operator,
    negated,
    operand,
    sqlType: type.sqlName,
    searchPath: type.searchPath,
    collation,
    id: JSON.stringify([type.sqlName, collation ?? '', operator, negated, operand]),
  }
}
