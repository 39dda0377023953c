import { hasKnownNames, outputsOf } from '../outputs.js'
import type { EmbedPlan, Item, OrderPlan, ReadPlan } from '../plan.js'
import { conditionSql, whereSql } from './print-condition.js'
import { embedOf, fieldSql, outputSql, tableOf } from './print-field.js'
import { fromSql, type Inside, linkConditions } from './print-from.js'
import { objectSql } from './print-object.js'
import { bigintValue, identifier, join, nothing, own, type Sql, sql } from './sql.js'

/** `known`: columns are called what the catalogue calls them, as the answer does. `neutral`: c0, c1 and so on. */
export type Naming = 'known' | 'neutral'

const knownItem = (read: ReadPlan, item: Item): readonly Sql[] => {
  if (item.kind === 'output') return [sql`${outputSql(read, item)} as ${identifier(item.name)}`]
  if (!read.grouped) return [sql`${tableOf(read)}.*`]
  return outputsOf({ items: [item], row: read.row }).map(
    (output) => sql`${outputSql(read, output)} as ${identifier(output.name)}`,
  )
}

const shownColumns = (read: ReadPlan, naming: Naming): readonly Sql[] =>
  naming === 'known'
    ? read.items.flatMap((item) => knownItem(read, item))
    : outputsOf(read).map((output, index) => sql`${outputSql(read, output)} as ${own('c', index)}`)

/** What the outer relation asks for besides what it shows: whether there is a row, and what it is ordered by. */
const askedColumns = ({ embed }: Inside): readonly Sql[] => [
  ...(embed.spread || embed.hidden ? [sql`true as j`] : []),
  ...embed.keys.map((key, index) => sql`${fieldSql(embed.read, key)} as ${own('o', index)}`),
]

/** Of related rows that are joined. */
const joinedIsEmpty = (embed: EmbedPlan): Sql =>
  embed.spread && !embed.toOne ? sql`${embedOf(embed)}.n = 0` : sql`${embedOf(embed)}.j is null`

const directions = { asc: sql` asc`, desc: sql` desc` } as const
const nullPlaces = { first: sql` nulls first`, last: sql` nulls last` } as const

const orderTargetSql = (read: ReadPlan, { target }: OrderPlan): Sql => {
  switch (target.kind) {
    case 'field':
      return fieldSql(read, target.field)
    case 'output':
      return outputSql(read, target.output)
    case 'spread':
      return sql`${embedOf(target.embed)}.${own('c', target.index)}`
    case 'key':
      return sql`${embedOf(target.embed)}.${own('o', target.index)}`
  }
}

const orderSql = (read: ReadPlan): Sql => {
  if (read.order.length === 0) return nothing
  const terms = read.order.map((term) => {
    const direction = term.direction === undefined ? nothing : directions[term.direction]
    return sql`${orderTargetSql(read, term)}${direction}${term.nulls === undefined ? nothing : nullPlaces[term.nulls]}`
  })
  return sql` order by ${join(terms)}`
}

export const limitSql = ({ limit, offset }: Pick<ReadPlan, 'limit' | 'offset'>): Sql => {
  const limited = limit === undefined ? nothing : sql` limit ${bigintValue(limit)}`
  return offset === undefined || offset === 0 ? limited : sql`${limited} offset ${bigintValue(offset)}`
}

/** By position: a name could be a column's too, and an expression is only the same with the same parameters. */
const groupSql = (read: ReadPlan): Sql => {
  if (!read.grouped) return nothing
  const positions = outputsOf(read).flatMap(({ aggregate }, index) => (aggregate ? [] : [position(index + 1)]))
  const keys = read.order.flatMap((term) => (term.target.kind === 'key' && term.target.shown ? [orderTargetSql(read, term)] : []))
  const groups = [...positions, ...keys]
  return groups.length === 0 ? nothing : sql` group by ${join(groups)}`
}

const digits = [sql`0`, sql`1`, sql`2`, sql`3`, sql`4`, sql`5`, sql`6`, sql`7`, sql`8`, sql`9`] as const
const position = (number: number): Sql => {
  const last = digits[number % 10]!
  return number < 10 ? last : sql`${position(Math.floor(number / 10))}${last}`
}

/** An embed that nothing looks at and that drops no row. */
const isIdle = ({ hidden, join: kind, asked, keys }: EmbedPlan): boolean =>
  hidden && kind === 'left' && !asked && keys.length === 0

/** One to-many list, shown as one array for each of its columns. */
const spreadLists = (inside: Inside): Sql => {
  const { read } = inside.embed
  const lists = outputsOf(read).map((_output, index) => sql`coalesce(json_agg(x.${own('c', index)}), '[]') as ${own('c', index)}`)
  return sql`select ${join([...lists, sql`count(*) as n`])} from (${querySql(read, 'neutral', inside)}) as x`
}

const keysOf = ({ embed }: Inside): Sql =>
  join(
    embed.keys.map((_key, index) => sql`, x.${own('o', index)}`),
    ' ',
  )

/** What is joined: JSON as `j`, or the columns of a spread relation. */
const lateralSql = (inside: Inside): Sql => {
  const { embed } = inside
  const { read, toOne, spread, hidden, keys } = embed
  if (hidden) return querySql({ ...read, limit: toOne ? read.limit : Math.min(read.limit ?? 1, 1), order: [] }, 'neutral', inside)
  if (spread) return toOne ? querySql(read, 'neutral', inside) : spreadLists(inside)
  const naming = hasKnownNames(read) && keys.length === 0 ? 'known' : 'neutral'
  const rows = querySql(read, naming, inside)
  if (!toOne) return sql`select json_agg(${naming === 'known' ? sql`x.*` : objectSql(read)}) as j from (${rows}) as x`
  return sql`select ${naming === 'known' ? sql`row_to_json(x.*)` : objectSql(read)} as j${keysOf(inside)} from (${rows}) as x`
}

const joinSql = (outer: ReadPlan, embed: EmbedPlan): Sql => {
  const lateral = sql`lateral (${lateralSql({ embed, outer })}) as ${embedOf(embed)}`
  if (embed.join === 'left') return sql` left join ${lateral} on true`
  return embed.toOne || embed.hidden
    ? sql` inner join ${lateral} on true`
    : sql` inner join ${lateral} on not (${joinedIsEmpty(embed)})`
}

/** The rows of a read, as a query of its own or inside another. */
export const querySql = (read: ReadPlan, naming: Naming, inside?: Inside): Sql => {
  const shown = inside?.embed.hidden ? [] : shownColumns(read, naming)
  const columns = [...shown, ...(inside ? askedColumns(inside) : [])]
  const joins = read.embeds.filter((embed) => !isIdle(embed)).map((embed) => joinSql(read, embed))
  const conditions = read.where.map((condition) => conditionSql(read, condition, joinedIsEmpty))
  const where = whereSql([...(inside ? linkConditions(inside) : []), ...conditions])
  const from = sql`${fromSql(read, inside)}${join(joins, ' ')}`
  return sql`select ${join(columns)} from ${from}${where}${groupSql(read)}${orderSql(read)}${limitSql(read)}`
}
