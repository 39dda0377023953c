import type { EmbedPlan, ReadPlan } from '../plan.js'
import { conditionSql, whereSql } from './print-condition.js'
import { fromSql, type Inside, linkConditions } from './print-from.js'
import { limitSql, querySql } from './print-read.js'
import { bigintValue, type Sql, sql } from './sql.js'

const existsSql = (embed: EmbedPlan, outer: ReadPlan): Sql => {
  const inside = { embed, outer }
  // Groups are rows of their own, and one that is made of nothing is one.
  if (embed.read.grouped) return sql`exists (${querySql(embed.read, 'neutral', inside)})`
  const { limit, offset } = embed.read
  return sql`exists (${bareSql(embed.read, inside)}${limitSql({ limit: limit === 0 ? 0 : undefined, offset })})`
}

/** The rows of a read without what they show: an embed that has to be there is only looked for. */
const bareSql = (read: ReadPlan, inside?: Inside): Sql => {
  const isEmpty = (embed: EmbedPlan): Sql => sql`not ${existsSql(embed, read)}`
  const conditions = [
    ...(inside ? linkConditions(inside) : []),
    ...read.where.map((condition) => conditionSql(read, condition, isEmpty)),
    ...read.embeds.filter((embed) => embed.join === 'inner').map((embed) => existsSql(embed, read)),
  ]
  return sql`select from ${fromSql(read, inside)}${whereSql(conditions)}`
}

/** All rows of a read, on whatever page. */
const allRowsSql = (read: ReadPlan): Sql =>
  read.grouped ? querySql({ ...read, order: [], limit: undefined, offset: undefined }, 'neutral') : bareSql(read)

/** How many there are, counted no further than `most`. */
const countSql = (read: ReadPlan, most: number | undefined): Sql => {
  const rows = allRowsSql(read)
  return sql`(select count(*) from (${most === undefined ? rows : sql`${rows} limit ${bigintValue(most)}`}) as counted)`
}

/**
 * How many rows there are on all pages, where one page is being aggregated. A page that is not full ends with the last row,
 * so that nothing has to be counted a second time.
 */
export const totalSql = (read: ReadPlan, most?: number): Sql => {
  const { limit, offset = 0 } = read
  if (limit === undefined && offset === 0) return sql`count(*)`
  const full = limit === undefined ? sql`` : sql`count(*) < ${bigintValue(limit)} and `
  const first = bigintValue(offset)
  return sql`case when ${full}(count(*) > 0 or ${first} = 0) then ${first} + count(*) else ${countSql(read, most)} end`
}

/** What the planner expects, as the first line of its plan tells. */
export const plannedSql = (read: ReadPlan): Sql => sql`explain (format json) ${allRowsSql(read)}`
