import type { BatchOptions, BatchStatement } from '../../../postgres/postgres.js'
import type { RemoteTest } from './filter-test.js'
import type { FilterOperator } from './filter-text.js'

const symbols: Readonly<Record<Exclude<FilterOperator, 'is' | 'in' | 'isdistinct'>, string>> = {
  eq: '=',
  neq: '<>',
  lt: '<',
  lte: '<=',
  gt: '>',
  gte: '>=',
  like: 'like',
  ilike: 'ilike',
  match: '~',
  imatch: '~*',
}

/** `value op operand` with the operand as parameter 1. Types and collations are quoted names of Postgres' catalogue. */
const conditionSql = ({ operator, negated, sqlType, collation }: RemoteTest, value: string): string => {
  const left = `(${value}::${sqlType}${collation === undefined ? '' : ` collate ${collation}`})`
  if (operator === 'isdistinct') return `${left} is ${negated ? 'not ' : ''}distinct from $1::text::${sqlType}`
  if (operator === 'is') throw new Error('is needs no comparison')
  const condition =
    operator === 'in' ? `${left} = any ($1::text::${sqlType}[])` : `${left} ${symbols[operator]} $1::text::${sqlType}`
  return negated ? `not (${condition})` : condition
}

/** A list of texts as Postgres reads an array. */
export const arrayLiteral = (values: readonly (string | null)[]): string =>
  `{${values.map((value) => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`

/** Whether the values fulfil the condition: one row for each, in their order. */
export const testStatement = (test: RemoteTest, values: readonly (string | null)[]): BatchStatement => ({
  text: `select ${conditionSql(test, 'u.v')} from unnest($2::text[]) with ordinality as u (v, n) order by u.n`,
  values: [test.operand, arrayLiteral(values)],
})

/** Values are written as the log writes them. A condition that takes too long fails, and is asked about no more. */
export const testSettings = ({ searchPath }: { readonly searchPath: string }, timeoutMs: number): BatchOptions => ({
  readOnly: true,
  settings: [
    ['search_path', searchPath],
    ['datestyle', 'ISO, YMD'],
    ['intervalstyle', 'postgres'],
    ['extra_float_digits', '3'],
    ['bytea_output', 'hex'],
    ['lc_monetary', 'C'],
    ['statement_timeout', String(timeoutMs)],
  ],
})

/** An operand as its type writes it (a cast to text may write it otherwise), which also tells whether it is one. */
export const operandStatement = (sqlType: string, value: string): BatchStatement => ({
  text: `select format('%s', $1::text::${sqlType})`,
  values: [value],
})

/** The elements of a list, likewise; one row each. */
export const elementsStatement = (sqlType: string, list: string): BatchStatement => ({
  text: `select case when e is not null then format('%s', e) end from unnest($1::text::${sqlType}[]) with ordinality as u (e, n) order by n`,
  values: [list],
})
