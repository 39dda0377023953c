import type { Comparison, Containment, Test, TextSearch } from '../../query.js'
import type { ConditionPlan, EmbedPlan, FieldPlan } from '../plan.js'
import { fieldSql, type Scope, typeOf } from './print-field.js'
import { join, nothing, type Sql, sql, typeSql, value } from './sql.js'

const comparisonSql: Readonly<Record<Comparison, Sql>> = {
  eq: sql`=`,
  neq: sql`<>`,
  gt: sql`>`,
  gte: sql`>=`,
  lt: sql`<`,
  lte: sql`<=`,
  like: sql`like`,
  ilike: sql`ilike`,
  match: sql`~`,
  imatch: sql`~*`,
}

const containmentSql: Readonly<Record<Containment | 'isdistinct', Sql>> = {
  cs: sql`@>`,
  cd: sql`<@`,
  ov: sql`&&`,
  sl: sql`<<`,
  sr: sql`>>`,
  nxl: sql`&>`,
  nxr: sql`&<`,
  adj: sql`-|-`,
  isdistinct: sql`is distinct from`,
}

const searchSql: Readonly<Record<TextSearch, Sql>> = {
  fts: sql`to_tsquery`,
  plfts: sql`plainto_tsquery`,
  phfts: sql`phraseto_tsquery`,
  wfts: sql`websearch_to_tsquery`,
}

const truthSql = {
  null: sql`is null`,
  not_null: sql`is not null`,
  true: sql`is true`,
  false: sql`is false`,
  unknown: sql`is unknown`,
} as const

/** A list as Postgres reads an array of whatever type. */
export const arrayLiteral = (values: readonly string[]): string =>
  `{${values.map((text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`

/** Compared with a row, a text without a type would count as a row of unknown make. */
const typed = ({ base, path }: FieldPlan, text: string, list = false): Sql => {
  const plain = value(text)
  if (path.length > 0 || base.kind !== 'column' || base.column.category !== 'C') return plain
  return sql`${plain}::${typeSql(base.column.baseType)}${list ? sql`[]` : nothing}`
}

const searchTest = (field: Sql, isVector: boolean, test: Extract<Test, { readonly operator: TextSearch }>): Sql => {
  const configuration = test.configuration === undefined ? sql`` : sql`${value(test.configuration)}::regconfig, `
  const vector = isVector ? field : sql`to_tsvector(${configuration}${field})`
  return sql`${vector} @@ ${searchSql[test.operator]}(${configuration}${value(test.value)})`
}

const testSql = (scope: Scope, plan: FieldPlan, test: Test): Sql => {
  const field = fieldSql(scope, plan)
  switch (test.operator) {
    case 'is':
      return sql`${field} ${truthSql[test.value]}`
    case 'in':
      // One empty text between the parentheses is none.
      return sql`${field} = any(${typed(plan, test.values.join('') === '' && test.values.length < 2 ? '{}' : arrayLiteral(test.values), true)})`
    case 'fts':
    case 'plfts':
    case 'phfts':
    case 'wfts':
      return searchTest(field, typeOf(plan.base) === 'tsvector', test)
    case 'isdistinct':
    case 'cs':
    case 'cd':
    case 'ov':
    case 'sl':
    case 'sr':
    case 'nxl':
    case 'nxr':
    case 'adj':
      return sql`${field} ${containmentSql[test.operator]} ${typed(plan, test.value)}`
    default:
      return comparisonTest(plan, field, test)
  }
}

const comparisonTest = (plan: FieldPlan, field: Sql, test: Extract<Test, { readonly operator: Comparison }>): Sql => {
  const operator = comparisonSql[test.operator]
  if (!('quantifier' in test)) return sql`${field} ${operator} ${typed(plan, test.value)}`
  const list = typed(plan, test.value, true)
  return test.quantifier === 'any' ? sql`${field} ${operator} any(${list})` : sql`${field} ${operator} all(${list})`
}

/** Whether related rows are there: of what is joined, or of a query of its own. */
export type EmptySql = (embed: EmbedPlan) => Sql

export const conditionSql = (scope: Scope, condition: ConditionPlan, isEmpty: EmptySql): Sql => {
  switch (condition.kind) {
    case 'empty':
      return condition.negated ? sql`not (${isEmpty(condition.embed)})` : sql`(${isEmpty(condition.embed)})`
    case 'filter': {
      const test = testSql(scope, condition.field, condition.test)
      return condition.negated ? sql`not (${test})` : sql`(${test})`
    }
    case 'logic': {
      const inner = condition.conditions.map((part) => conditionSql(scope, part, isEmpty))
      const all = sql`(${join(inner, condition.operator === 'and' ? ' and ' : ' or ')})`
      return condition.negated ? sql`not ${all}` : all
    }
  }
}

export const whereSql = (conditions: readonly Sql[]): Sql =>
  conditions.length === 0 ? sql`` : sql` where ${join(conditions, ' and ')}`
