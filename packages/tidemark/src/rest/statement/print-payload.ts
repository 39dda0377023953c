import type { Column } from '../catalogue.js'
import type { Payload } from '../query.js'
import { defaultSql, identifier, join, literal, type Sql, sql, typeSql, value } from './sql.js'

export type JsonPayload = Extract<Payload, { readonly kind: 'json' }>

/** Something that has a name and a type of the catalogue: a column, or an argument. */
export interface TypedName {
  readonly name: string
  readonly type: string
}

const definitions = (names: readonly TypedName[]): Sql =>
  join(names.map(({ name, type }) => sql`${identifier(name)} ${typeSql(type)}`))

/** The rows of a body, as `b`: each value read by the type that it is meant for. */
export const payloadSql = (payload: JsonPayload, names: readonly TypedName[]): Sql => {
  const text = sql`${value(payload.text)}::json`
  if (names.length === 0) return payload.array ? sql`json_array_elements(${text}) as b` : sql`(select ${text}) as b`
  const read = payload.array ? sql`json_to_recordset(${text})` : sql`json_to_record(${text})`
  return sql`${read} as b(${definitions(names)})`
}

type WithDefault = Column & { readonly default: string }

const hasDefault = (column: Column): column is WithDefault => column.default !== undefined

/** The same, where a key that an object lacks stands for the column's default instead of null. */
export const payloadWithDefaultsSql = (payload: JsonPayload, columns: readonly Column[]): Sql => {
  const withDefault = columns.filter(hasDefault)
  if (withDefault.length === 0) return payloadSql(payload, columns)
  const json = sql`${value(payload.text)}::jsonb`
  const elements = payload.array ? sql`jsonb_array_elements(${json}) as r(v)` : sql`(select ${json}) as r(v)`
  const values = columns.map((column) => {
    const name = identifier(column.name)
    if (!hasDefault(column)) return sql`d.${name}`
    return sql`case when r.v ? ${literal(column.name)} then d.${name} else ${defaultSql(column)} end as ${name}`
  })
  const record = sql`lateral jsonb_to_record(r.v) as d(${definitions(columns)})`
  return sql`(select ${join(values)} from ${elements}, ${record}) as b`
}
