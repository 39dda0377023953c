import { findRelationship } from '../../catalogue/find-relationship.js'
import { findTable } from '../../catalogue/find-table.js'
import type { Catalogue, RelationName, Relationship, Table } from '../../catalogue.js'
import type { Embed, Read } from '../../query.js'
import { RestError } from '../../rest-error.js'
import { restErrors } from '../../rest-errors.js'
import { outputsOf } from '../outputs.js'
import type { Item, Link, Output, ReadPlan, RowType } from '../plan.js'
import { resolveConditions } from './resolve-condition.js'
import type { EmbedDraft, ResolveContext } from './resolve-context.js'
import { resolveOrder } from './resolve-order.js'
import { resolveItem } from './resolve-select.js'
import { rowTypeOf } from './row-type.js'

const linkOf = (way: Relationship): Link => {
  if (way.kind === 'computed') return { kind: 'computed', function: way.function }
  if (way.kind === 'many-to-many')
    return { kind: 'junction', junction: way.junction, outer: way.fromColumns, inner: way.toColumns }
  return { kind: 'columns', pairs: way.columns }
}

const isToOne = (way: Relationship): boolean =>
  way.kind === 'computed' ? way.toOne : way.kind === 'many-to-one' || way.kind === 'one-to-one'

/** The names under which the catalogue itself knows the way. */
const namesOf = (way: Relationship): readonly string[] => {
  if (way.kind === 'computed') return [way.function.name, way.to.name]
  if (way.kind === 'many-to-many') return [way.to.name]
  return [way.to.name, way.constraint, ...way.columns.flat()]
}

const showsNothing = ({ select }: Read): boolean =>
  select.every((item) => item.kind === 'embed' && !item.spread && showsNothing(item.read))

const wayOf = (catalogue: Catalogue, row: RowType, { relation, hint }: Embed): Relationship => {
  if (row.relation) return findRelationship(catalogue, row.relation, relation, hint)
  throw restErrors.relationshipNotFound({ schema: '', from: row.label, to: relation, using: hint, hint: null })
}

const tableOf = ({ catalogue }: ResolveContext, { schema, name }: RelationName): Table => findTable(catalogue, schema, name)

const withoutAggregates = (read: ReadPlan): ReadPlan => ({
  ...read,
  items: outputsOf(read).map((output): Item => ({ ...output, kind: 'output', aggregate: undefined })),
  grouped: false,
})

/** How the outer relation shows what the embed gives. */
interface Embedded {
  readonly draft: EmbedDraft
  readonly outputs: readonly Output[]
}

/** Columns of another relation among one's own. An aggregate over the only related row there is would be none: it counts outside. */
const spreadOutputs = (draft: EmbedDraft, read: ReadPlan): readonly Output[] =>
  outputsOf(read).map(({ name, known, aggregate }, index) => ({
    name,
    known,
    value: { kind: 'spread', embed: draft, index },
    aggregate,
  }))

const resolveEmbed = (context: ResolveContext, row: RowType, embed: Embed, depth: number): Embedded => {
  const way = wayOf(context.catalogue, row, embed)
  const toOne = isToOne(way)
  const table = tableOf(context, way.to)
  const source = { row: rowTypeOf(table, `${table.name}_${depth}`), from: way.to, single: toOne, depth }
  const read = resolveRead(context, embed.read, source)
  if (embed.spread && !toOne && read.grouped)
    throw restErrors.notImplemented('Aggregates are not implemented for one-to-many or many-to-many spreads.')
  const draft: EmbedDraft = {
    name: embed.alias ?? embed.relation,
    link: linkOf(way),
    toOne,
    join: embed.join ?? 'left',
    spread: embed.spread,
    hidden: !embed.spread && showsNothing(embed.read),
    read: embed.spread && toOne ? withoutAggregates(read) : read,
    keys: [],
    asked: false,
  }
  if (embed.spread) return { draft, outputs: spreadOutputs(draft, read) }
  const { name } = draft
  const value = { kind: 'embed', embed: draft } as const
  return { draft, outputs: draft.hidden ? [] : [{ name, known: namesOf(way).includes(name), value, aggregate: undefined }] }
}

/** Two of one name would be two keys of one name in an object, of which most readers see the second only. */
const refuseTwice = (row: RowType, earlier: readonly EmbedDraft[], { name, spread }: EmbedDraft, depth: number): void => {
  if (spread || !earlier.some((other) => other.name === name && !other.spread)) return
  const table = `${row.relation?.name ?? row.label}_${name}_${depth}`
  throw new RestError({ code: '42712', status: 400, message: `table name "${table}" specified more than once` })
}

export interface ReadSource {
  readonly row: RowType
  readonly from: ReadPlan['from']
  /** There is at most one row of it. */
  readonly single: boolean
  readonly depth: number
  /** Rows that were just written: the filters and limits chose what to write, and are not asked again. */
  readonly written?: boolean
}

const least = (limit: number | undefined, max: number | undefined): number | undefined =>
  limit === undefined || max === undefined ? (limit ?? max) : Math.min(limit, max)

/** Looks every name of a read up. Raises 42703, 42704, 42712 and the errors of relationships. */
export const resolveRead = (context: ResolveContext, read: Read, source: ReadSource): ReadPlan => {
  const id = context.nextId()
  const { row, from, single, depth, written = false } = source
  const embeds: EmbedDraft[] = []
  const items = read.select.flatMap((item): Item[] => {
    if (item.kind === 'all') return [{ kind: 'all' }]
    if (item.kind !== 'embed') return [{ kind: 'output', ...resolveItem(context, row, item) }]
    const { draft, outputs } = resolveEmbed(context, row, item, depth + 1)
    refuseTwice(row, embeds, draft, depth + 1)
    embeds.push(draft)
    return outputs.map((output) => ({ kind: 'output', ...output }))
  })
  // An empty `select=` is none.
  const shown: readonly Item[] = read.select.length === 0 && depth === 0 ? [{ kind: 'all' }] : items
  const where = written ? [] : resolveConditions(context, row, read.where, embeds)
  const order = resolveOrder(context, row, read.order, embeds, shown)
  return {
    id,
    from,
    row,
    items: shown,
    embeds,
    where,
    order,
    limit: written ? undefined : single ? read.limit : least(read.limit, context.maxRows),
    offset: written ? undefined : read.offset,
    grouped: shown.some((item) => item.kind === 'output' && item.aggregate !== undefined),
  }
}
