import type { EmbedPlan, ReadPlan } from '../plan.js'
import { rowSql, tableOf } from './print-field.js'
import { identifier, join, own, relationSql, type Sql, sql } from './sql.js'

/** Where a read stands inside another. */
export interface Inside {
  readonly embed: EmbedPlan
  readonly outer: ReadPlan
}

const pairSql =
  (left: Sql, right: Sql) =>
  (names: readonly [string, string]): Sql =>
    sql`${left}.${identifier(names[0])} = ${right}.${identifier(names[1])}`

/** The relation of a read, and the junction on the way to it. */
export const fromSql = (read: ReadPlan, inside: Inside | undefined): Sql => {
  const table = tableOf(read)
  const link = inside?.embed.link
  if (inside && link?.kind === 'computed') return sql`${relationSql(link.function)}(${rowSql(inside.outer)}) as ${table}`
  const relation = read.from === 'source' ? sql`source as ${table}` : sql`${relationSql(read.from)} as ${table}`
  if (link?.kind !== 'junction') return relation
  const junction = own('j', read.id)
  return sql`${relation} inner join ${relationSql(link.junction)} as ${junction} on ${join(link.inner.map(pairSql(table, junction)), ' and ')}`
}

/** What ties the inner rows to the outer one. */
export const linkConditions = ({ embed: { link, read }, outer }: Inside): readonly Sql[] => {
  if (link.kind === 'computed') return []
  if (link.kind === 'columns') return link.pairs.map(pairSql(tableOf(outer), tableOf(read)))
  return link.outer.map(pairSql(tableOf(outer), own('j', read.id)))
}
