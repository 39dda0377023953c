import type { ViewRow } from './queries.js'
import { type ViewColumn, viewColumns } from './view-columns.js'

/** By the number of a table: its columns that a view shows, each with the view's own columns that show it. */
export type Origins = ReadonlyMap<number, ReadonlyMap<number, readonly number[]>>

type Shown = ReadonlyMap<number, ReadonlyMap<number, ViewColumn>>

/** Down through views over views to a table's own column. */
const follow = (shown: Shown, { table, tableColumn }: ViewColumn): readonly [number, number] | undefined => {
  const visited = new Set<number>()
  let [relation, column] = [table, tableColumn]
  for (let view = shown.get(relation); view; view = shown.get(relation)) {
    const below = view.get(column)
    if (!below || visited.has(relation)) return undefined
    visited.add(relation)
    relation = below.table
    column = below.tableColumn
  }
  return [relation, column]
}

const originsOf = (shown: Shown, columns: Iterable<ViewColumn>): Origins => {
  const origins = new Map<number, Map<number, number[]>>()
  for (const column of columns) {
    const origin = follow(shown, column)
    if (!origin) continue
    const [table, tableColumn] = origin
    const ofTable = origins.get(table) ?? new Map<number, number[]>()
    origins.set(table, ofTable.set(tableColumn, [...(ofTable.get(tableColumn) ?? []), column.column]))
  }
  return origins
}

/** Where the columns of each view come from, by the view's number. */
export const traceViews = (rows: readonly ViewRow[]): ReadonlyMap<number, Origins> => {
  const shown = new Map(
    rows.map(({ oid, rule }) => [Number(oid), new Map(viewColumns(rule).map((column) => [column.column, column]))] as const),
  )
  return new Map([...shown].map(([view, columns]) => [view, originsOf(shown, columns.values())] as const))
}
