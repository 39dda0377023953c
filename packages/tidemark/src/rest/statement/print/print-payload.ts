import type { Column } from '../../catalogue.js'
import type { Payload } from '../../query.js'
import { defaultSql, identifier, join, literal, own, type Sql, sql, typeSql, value } from './sql.js'

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

/**
 * The same, where a key that an object lacks stands for the column's default instead of null. A default is worked out for every row,
 * also where the object has the key, as PostgREST does: the numbers that a sequence gives are the same then.
 */
export const payloadWithDefaultsSql = (payload: JsonPayload, columns: readonly Column[]): Sql => {
  const withDefault = columns.filter(hasDefault)
  if (withDefault.length === 0) return payloadSql(payload, columns)
  const json = sql`${value(payload.text)}::jsonb`
  const elements = payload.array ? sql`jsonb_array_elements(${json}) as e(v)` : sql`(select ${json}) as e(v)`
  const defaults = withDefault.map((column, index) => sql`${defaultSql(column)} as ${own('c', index)}`)
  const values = columns.map((column) => {
    const name = identifier(column.name)
    if (!hasDefault(column)) return sql`d.${name}`
    const given = own('c', withDefault.indexOf(column))
    return sql`case when r.v ? ${literal(column.name)} then d.${name} else r.${given} end as ${name}`
  })
  const rows = sql`(select e.v, ${join(defaults)} from ${elements}) as r`
  const record = sql`lateral jsonb_to_record(r.v) as d(${definitions(columns)})`
  return sql`(select ${join(values)} from ${rows}, ${record}) as b`
}
