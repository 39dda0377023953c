import { quoteIdentifier as id } from '../../schema/sql-errors.js'
import type { Question } from './judging-block.js'
import { askedOnce, planLasts } from './lasting-plan.js'
import { ownColumn } from './own-column.js'
import type { AccessPolicy, TableAccess } from './table-access.js'

/** A question to Postgres about rows of one table: one character for each, in order, `1` where the role and its claims see it. */
export interface RowQuestion extends Question {
  /** Columns without which it cannot be answered, as places in the table. */
  readonly needs: readonly number[]
}

/** How it is found out what a role sees of a table. */
export type AccessRule =
  | { readonly kind: 'none' }
  | { readonly kind: 'all' }
  | { readonly kind: 'asked'; readonly question: RowQuestion }
  /** Where one column holds whose the row is. */
  | { readonly kind: 'own'; readonly column: string; readonly place: number; readonly question: RowQuestion }

const joined = (policies: readonly AccessPolicy[], word: 'and' | 'or'): string =>
  policies.map(({ qual }) => `(${qual})`).join(` ${word} `)

/** Permissive ones widen, restrictive ones narrow, as Postgres joins them. */
const qualOf = (policies: readonly AccessPolicy[]): string => {
  const restrictive = policies.filter(({ permissive }) => !permissive)
  const permissive = `(${joined(
    policies.filter((policy) => policy.permissive),
    'or',
  )})`
  return restrictive.length === 0 ? permissive : `${joined(restrictive, 'and')} and ${permissive}`
}

/** The rows under the name of their table and as its row type, which is how policies speak of them. Generated columns are computed. */
const rowsOf = ({ table, columns }: TableAccess, type: string, rows: string): string => {
  const alias = id(table)
  const given = `unnest(${rows}) as ${alias}`
  if (columns.every(({ generated }) => generated === null)) return given
  const values = columns.map(({ name, generated }) => (generated === null ? `${alias}.${id(name)}` : `(${generated})`))
  return `unnest((select array_agg(row(${values.join(', ')})::${type}) from ${given})) as ${alias}`
}

const questionOf = (access: TableAccess): RowQuestion => {
  const { columns, policies } = access
  const read = new Set(policies.flatMap((policy) => policy.columns))
  const readsGenerated = columns.some(({ name, generated }) => generated !== null && read.has(name))
  const whole = readsGenerated || policies.some(({ wholeRow }) => wholeRow)
  const needs = columns.flatMap(({ name, generated }, place) => (generated === null && (whole || read.has(name)) ? [place] : []))
  const type = `${id(access.schema)}.${id(access.table)}`
  const ask = (qual: string, rows: string): string =>
    `select string_agg(case when ${qual} then '1' else '0' end, '') from ${rowsOf(access, type, rows)}`
  return {
    needs,
    type,
    // A generated column is an expression that says IMMUTABLE of itself.
    lasting: columns.every(({ generated }) => generated === null)
      ? { condition: planLasts(access.oid), query: (rows) => ask(askedOnce(qualOf(policies)), rows) }
      : undefined,
    query: (rows) => ask(qualOf(policies), rows),
    parts: (rows) => policies.map(({ permissive, qual }) => ({ permissive, query: ask(`(${qual})`, rows) })),
  }
}

/** Raises nothing: what cannot be decided here is left to Postgres. */
export const ruleOf = (access: TableAccess): AccessRule => {
  const { reaches, bypasses, columns, policies } = access
  if (!reaches || !columns.some(({ readable }) => readable)) return { kind: 'none' }
  if (bypasses) return { kind: 'all' }
  const permissive = policies.filter((policy) => policy.permissive)
  if (permissive.length === 0) return { kind: 'none' }
  if (permissive.length === policies.length && permissive.some(({ qual }) => qual === 'true')) return { kind: 'all' }
  const question = questionOf(access)
  const column = ownColumn(access)
  if (column === undefined) return { kind: 'asked', question }
  return { kind: 'own', column, place: columns.findIndex(({ name }) => name === column), question }
}
