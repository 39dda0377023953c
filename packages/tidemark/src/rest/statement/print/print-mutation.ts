import type { Column, Table } from '../../catalogue.js'
import type { ConditionPlan, RowType } from '../plan.js'
import { conditionSql, whereSql } from './print-condition.js'
import { type Scope, tableOf } from './print-field.js'
import { type JsonPayload, payloadSql, payloadWithDefaultsSql } from './print-payload.js'
import { identifier, join, nothing, relationSql, type Sql, sql, value } from './sql.js'

/** What is done to one relation. */
export interface MutationPlan {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly table: Table
  readonly row: RowType
  /** To be written, by the keys of the body. */
  readonly columns: readonly Column[]
  readonly payload: JsonPayload | undefined
  readonly withDefaults: boolean
  readonly where: readonly ConditionPlan[]
  readonly conflict: { readonly columns: readonly Column[]; readonly resolution: 'merge' | 'ignore' } | undefined
  /** PUT: columns of the key, and what the URL says that they are. */
  readonly key: readonly (readonly [Column, string])[] | undefined
  /** Of the written rows. */
  readonly returning: readonly Column[]
}

const scopeOf = ({ table, row }: MutationPlan): Scope => ({ id: 0, from: table, row })

const neverEmpty = (): Sql => sql`false`

const conditionsOf = (plan: MutationPlan): readonly Sql[] =>
  plan.where.map((condition) => conditionSql(scopeOf(plan), condition, neverEmpty))

const returningSql = ({ returning }: MutationPlan): Sql => {
  const target = tableOf({ id: 0 })
  if (returning.length === 0) return sql` returning true as written`
  return sql` returning ${join(returning.map(({ name }) => sql`${target}.${identifier(name)}`))}`
}

const bodySql = (plan: MutationPlan, payload: JsonPayload): Sql =>
  plan.withDefaults ? payloadWithDefaultsSql(payload, plan.columns) : payloadSql(payload, plan.columns)

/**
 * Counts what was there before apart from what was not: each row counts up before it is inserted, and down again where it turns
 * into an update. A setting of the transaction is the one thing that both can write to, and that tables of all kinds have.
 */
const countedUp = sql`set_config('tidemark.inserted', (coalesce(nullif(current_setting('tidemark.inserted', true), ''), '0')::int + 1)::text, true) <> ''`
const countedDown = sql`set_config('tidemark.inserted', (coalesce(nullif(current_setting('tidemark.inserted', true), ''), '0')::int - 1)::text, true) <> ''`
export const insertedSql = sql`nullif(current_setting('tidemark.inserted', true), '')`

const conflictSql = ({ conflict, columns }: MutationPlan): Sql => {
  if (!conflict || conflict.columns.length === 0) return nothing
  const target = join(conflict.columns.map(({ name }) => identifier(name)))
  if (conflict.resolution === 'ignore' || columns.length === 0) return sql` on conflict (${target}) do nothing`
  const set = columns.map(({ name }) => sql`${identifier(name)} = excluded.${identifier(name)}`)
  return sql` on conflict (${target}) do update set ${join(set)} where ${countedDown}`
}

/** An upsert, of which it is to be told what it inserted. */
export const countsInserted = ({ conflict, key }: MutationPlan): boolean => conflict?.resolution === 'merge' || key !== undefined

const insertSql = (plan: MutationPlan, payload: JsonPayload): Sql => {
  const { columns, table, key } = plan
  const names = columns.length === 0 ? nothing : sql` (${join(columns.map(({ name }) => identifier(name)))})`
  const values = join(columns.map(({ name }) => sql`b.${identifier(name)}`))
  const matches = (key ?? []).map(([{ name }, text]) => sql`b.${identifier(name)} = ${value(text)}`)
  const where = whereSql([...matches, ...(countsInserted(plan) ? [countedUp] : [])])
  const target = sql`${relationSql(table)} as ${tableOf({ id: 0 })}`
  return sql`insert into ${target}${names} select ${values} from ${bodySql(plan, payload)}${where}${conflictSql(plan)}${returningSql(plan)}`
}

const updateSql = (plan: MutationPlan, payload: JsonPayload): Sql => {
  const target = sql`${relationSql(plan.table)} as ${tableOf({ id: 0 })}`
  // SET wants one column at least, and there is nothing to set.
  if (plan.columns.length === 0) {
    const shown = plan.returning.map(({ name }) => sql`${tableOf({ id: 0 })}.${identifier(name)}`)
    return sql`select ${join(shown)} from ${target} where false`
  }
  const set = plan.columns.map(({ name }) => sql`${identifier(name)} = b.${identifier(name)}`)
  return sql`update ${target} set ${join(set)} from ${bodySql(plan, payload)}${whereSql(conditionsOf(plan))}${returningSql(plan)}`
}

export const mutationSql = (plan: MutationPlan): Sql => {
  const { kind, payload, table } = plan
  if (kind === 'delete' || !payload)
    return sql`delete from ${relationSql(table)} as ${tableOf({ id: 0 })}${whereSql(conditionsOf(plan))}${returningSql(plan)}`
  return kind === 'insert' ? insertSql(plan, payload) : updateSql(plan, payload)
}
