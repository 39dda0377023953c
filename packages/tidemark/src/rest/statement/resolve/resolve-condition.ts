import type { Condition, Filter } from '../../query.js'
import { restErrors } from '../../rest-errors.js'
import type { ConditionPlan, RowType } from '../plan.js'
import type { EmbedDraft, ResolveContext } from './resolve-context.js'
import { findField, unknownColumn } from './row-type.js'

const resolveFilter = (
  { catalogue }: ResolveContext,
  row: RowType,
  { field, negated, test }: Filter,
  embeds: readonly EmbedDraft[],
): ConditionPlan => {
  const embed = field.path.length === 0 ? embeds.find(({ name }) => name === field.column) : undefined
  if (embed && test.operator === 'is' && (test.value === 'null' || test.value === 'not_null')) {
    embed.asked = true
    return { kind: 'empty', embed, negated: negated !== (test.value === 'not_null') }
  }
  const found = findField(catalogue, row, field)
  if (found) return { kind: 'filter', field: found, negated, test }
  throw embed ? restErrors.embedFilter(embed.name) : unknownColumn(row, field.column)
}

export const resolveConditions = (
  context: ResolveContext,
  row: RowType,
  conditions: readonly Condition[],
  embeds: readonly EmbedDraft[],
): readonly ConditionPlan[] =>
  conditions.map((condition) => {
    if (condition.kind === 'filter') return resolveFilter(context, row, condition, embeds)
    const inner = resolveConditions(context, row, condition.conditions, embeds)
    return { kind: 'logic', operator: condition.kind, negated: condition.negated, conditions: inner }
  })
