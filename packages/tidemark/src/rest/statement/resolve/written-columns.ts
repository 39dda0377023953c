import type { EmbedPlan, FieldPlan, OrderTarget, ReadPlan, Value } from '../plan.js'

/** Columns of the written rows that a read of them needs, so that nobody is asked for the right to read the others. */
export const neededColumns = (read: ReadPlan): ReadonlySet<string> => {
  const needed = new Set<string>()
  const all = (): void => {
    for (const name of read.row.columns.keys()) needed.add(name)
  }
  const field = ({ base }: FieldPlan): void => {
    if (base.kind === 'column') needed.add(base.column.name)
    // A function of the row takes it whole.
    else all()
  }
  const value = (shown: Value): void => {
    if (shown.kind === 'field') field(shown.field)
  }
  const embed = ({ link }: EmbedPlan): void => {
    if (link.kind === 'computed') all()
    else for (const [ours] of link.kind === 'columns' ? link.pairs : link.outer) needed.add(ours)
  }
  const order = (target: OrderTarget): void => {
    if (target.kind === 'field') field(target.field)
    if (target.kind === 'output') value(target.output.value)
  }
  for (const item of read.items) item.kind === 'all' ? all() : value(item.value)
  for (const inner of read.embeds) embed(inner)
  for (const { target } of read.order) order(target)
  return needed
}
