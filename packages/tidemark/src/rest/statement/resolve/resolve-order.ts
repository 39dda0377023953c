import type { Field, OrderTerm } from '../../query.js'
import { restErrors } from '../../rest-errors.js'
import { outputsOf } from '../outputs.js'
import type { Item, OrderPlan, OrderTarget, Output, RowType } from '../plan.js'
import type { EmbedDraft, ResolveContext } from './resolve-context.js'
import { findField, resolveField, unknownColumn } from './row-type.js'

const named = (outputs: readonly Output[], { column, path }: Field): number =>
  path.length === 0 ? outputs.findIndex(({ name }) => name === column) : -1

const relatedTarget = (
  { catalogue }: ResolveContext,
  row: RowType,
  relation: string,
  field: Field,
  embeds: readonly EmbedDraft[],
): OrderTarget => {
  const embed = embeds.find(({ name }) => name === relation)
  if (!embed) throw restErrors.notEmbedded(relation)
  if (!embed.toOne) throw restErrors.relatedOrder(row.relation?.name ?? row.label, relation)
  const outputs = outputsOf(embed.read)
  const index = named(outputs, field)
  if (embed.spread && index >= 0) return { kind: 'spread', embed, index }
  const value = outputs[index]?.value
  const key = value?.kind === 'field' ? value.field : resolveField(catalogue, embed.read.row, field)
  return { kind: 'key', embed, index: embed.keys.push(key) - 1, shown: value !== undefined }
}

const ownTarget = ({ catalogue }: ResolveContext, row: RowType, field: Field, items: readonly Item[]): OrderTarget => {
  const found = findField(catalogue, row, field)
  if (found) return { kind: 'field', field: found }
  const outputs = outputsOf({ items, row })
  const output = outputs[named(outputs, field)]
  if (output) return { kind: 'output', output }
  throw unknownColumn(row, field.column)
}

export const resolveOrder = (
  context: ResolveContext,
  row: RowType,
  terms: readonly OrderTerm[],
  embeds: readonly EmbedDraft[],
  items: readonly Item[],
): readonly OrderPlan[] =>
  terms.map(({ relation, field, direction, nulls }) => ({
    target: relation === undefined ? ownTarget(context, row, field, items) : relatedTarget(context, row, relation, field, embeds),
    direction,
    nulls,
  }))
