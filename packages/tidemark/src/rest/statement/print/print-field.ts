import { outputsOf } from '../outputs.js'
import type { Base, EmbedPlan, FieldPlan, Output, ReadPlan, Value } from '../plan.js'
import { identifier, intValue, own, relationSql, type Sql, sql, textValue, typeSql } from './sql.js'

/** The relation whose columns are meant, as the statement calls it. */
export type Scope = Pick<ReadPlan, 'id' | 'from' | 'row'>

export const tableOf = ({ id }: Pick<ReadPlan, 'id'>): Sql => own('t', id)

/** A whole row, as functions of the relation's type take it. What another part of the statement gave has lost its type. */
export const rowSql = (scope: Scope): Sql => {
  const row = sql`${tableOf(scope)}.*`
  const { relation } = scope.row
  return scope.from === 'source' && relation ? sql`row(${row})::${relationSql(relation)}` : row
}

const baseSql = (scope: Scope, base: Base): Sql => {
  if (base.kind === 'column') return sql`${tableOf(scope)}.${identifier(base.column.name)}`
  if (base.kind === 'computed') return sql`${relationSql(base.computed.function)}(${rowSql(scope)})`
  return sql`${tableOf(scope)}.v`
}

/** The type of what stands before the path: of a domain, what it is made of. */
export const typeOf = (base: Base): string | undefined => {
  if (base.kind === 'column') return base.column.underlyingType
  return base.kind === 'computed' ? base.computed.type : undefined
}

export const fieldSql = (scope: Scope, { base, path }: FieldPlan): Sql => {
  const start = baseSql(scope, base)
  if (path.length === 0) return start
  // Only what is no JSON is made such, since an index is of the column as it is.
  const json = /^jsonb?$/.test(typeOf(base) ?? '') ? start : sql`to_jsonb(${start})`
  const steps = path.reduce((before, { arrow, key }) => {
    const operand = typeof key === 'number' ? intValue(key) : textValue(key)
    return arrow === '->' ? sql`${before}->${operand}` : sql`${before}->>${operand}`
  }, json)
  return sql`(${steps})`
}

/** Under this name the outer statement sees what an embed gives. */
export const embedOf = ({ read }: Pick<EmbedPlan, 'read'>): Sql => own('e', read.id)

const castSql = (piece: Sql, type: string | undefined): Sql =>
  type === undefined ? piece : sql`cast(${piece} as ${typeSql(type)})`

const valueSql = (scope: Scope, value: Value): Sql => {
  switch (value.kind) {
    case 'field':
      return castSql(fieldSql(scope, value.field), value.cast)
    case 'row':
      return sql`true`
    case 'embed':
      return value.embed.toOne ? sql`${embedOf(value.embed)}.j` : sql`coalesce(${embedOf(value.embed)}.j, '[]')`
    case 'spread':
      return sql`${embedOf(value.embed)}.${own('c', value.index)}`
  }
}

/** JSON that the statement itself makes, of a type that knows no equality. */
const isMade = (value: Value): boolean => {
  if (value.kind === 'embed') return true
  if (value.kind !== 'spread') return false
  const inner = outputsOf(value.embed.read)[value.index]
  return !value.embed.toOne || (inner !== undefined && isMade(inner.value))
}

/** Only these words, whatever the type says. */
const functions = { avg: sql`avg`, count: sql`count`, max: sql`max`, min: sql`min`, sum: sql`sum` } as const

export const outputSql = (read: ReadPlan, { value, aggregate }: Output): Sql => {
  const piece = valueSql(read, value)
  if (aggregate) {
    const over = value.kind === 'row' ? sql`*` : piece
    return castSql(sql`${functions[aggregate.function]}(${over})`, aggregate.cast)
  }
  return read.grouped && isMade(value) ? sql`(${piece})::jsonb` : piece
}
