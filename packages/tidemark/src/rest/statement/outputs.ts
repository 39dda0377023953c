import type { Item, Output, ReadPlan } from './plan.js'

/** Everything that a read shows, `*` spelled out. */
export const outputsOf = ({ items, row }: Pick<ReadPlan, 'items' | 'row'>): readonly Output[] =>
  items.flatMap((item): Output[] => {
    if (item.kind === 'output') return [item]
    return [...row.columns.values()].map((column) => ({
      name: column.name,
      known: true,
      value: { kind: 'field', field: { base: { kind: 'column', column }, path: [] }, cast: undefined },
      aggregate: undefined,
    }))
  })

/** The names of all outputs may be written as those of columns. */
export const hasKnownNames = ({ items }: Pick<ReadPlan, 'items'>): boolean =>
  items.every((item: Item) => item.kind === 'all' || item.known)
