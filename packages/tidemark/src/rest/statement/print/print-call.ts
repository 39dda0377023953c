import type { Argument, SqlFunction } from '../../catalogue.js'
import { arrayLiteral } from './print-condition.js'
import { type JsonPayload, payloadSql } from './print-payload.js'
import { identifier, join, nothing, relationSql, type Sql, type SqlValue, sql, typeSql, value } from './sql.js'

/** With what a function is called. */
export type ArgumentsPlan =
  | { readonly kind: 'none' }
  /** Each by its name, as text. */
  | { readonly kind: 'texts'; readonly given: readonly { readonly argument: Argument; readonly texts: readonly string[] }[] }
  /** The keys of a JSON object. */
  | { readonly kind: 'json'; readonly payload: JsonPayload; readonly given: readonly Argument[] }
  /** The whole body, to the one argument there is. */
  | { readonly kind: 'body'; readonly argument: Argument; readonly body: SqlValue }

export interface CallPlan {
  readonly function: SqlFunction
  readonly arguments: ArgumentsPlan
}

const variadicSql = ({ variadic }: Argument): Sql => (variadic ? sql`variadic ` : nothing)

const textArgument = (argument: Argument, texts: readonly string[]): Sql => {
  // Given more than once, the last one holds.
  const text = argument.variadic ? arrayLiteral(texts) : (texts.at(-1) ?? null)
  return sql`${variadicSql(argument)}${identifier(argument.name)} := ${value(text)}::${typeSql(argument.type)}`
}

const argumentsSql = (plan: ArgumentsPlan): Sql => {
  switch (plan.kind) {
    case 'none':
      return nothing
    case 'texts':
      return join(plan.given.map(({ argument, texts }) => textArgument(argument, texts)))
    case 'json':
      return join(
        plan.given.map((argument) => sql`${variadicSql(argument)}${identifier(argument.name)} := b.${identifier(argument.name)}`),
      )
    case 'body':
      return sql`${value(plan.body)}::${typeSql(plan.argument.type)}`
  }
}

/** A function is called once: of several objects, the first brings the arguments. */
const firstRow = (payload: JsonPayload, given: readonly Argument[]): Sql => {
  const rows = payloadSql(payload, given)
  return payload.array ? sql`(select b.* from ${rows} limit 1) as b` : rows
}

/** The rows that a call gives: a function's own columns, or `v` where it gives values. */
export const callSql = ({ function: called, arguments: plan }: CallPlan): Sql => {
  const call = sql`${relationSql(called)}(${argumentsSql(plan)})`
  const rows = called.returns.kind === 'row'
  if (plan.kind !== 'json') return rows ? sql`select f.* from ${call} as f` : sql`select ${call} as v`
  const body = firstRow(plan.payload, plan.given)
  return rows ? sql`select f.* from ${body}, lateral ${call} as f` : sql`select ${call} as v from ${body}`
}
