/** Rows whose parent is missing in the file, for foreign keys that the target enforces: found while reading, before Postgres refuses them. */
import type { TablePlan } from '../move.js'
import { quoteSqlite, type Row } from '../row-source.js'

/** SQL that is true where a row of the table has no parent; NULL in any key column means that none is needed. */
export const orphanCondition = (
  table: string,
  { columns, parentTable, parentColumns }: TablePlan['requiredParents'][number],
): string => {
  const own = columns.map((column) => `${quoteSqlite(table)}.${quoteSqlite(column)}`)
  const present = own.map((column) => `${column} IS NOT NULL`).join(' AND ')
  const match = parentColumns.map((column, i) => `parent.${quoteSqlite(column)} = ${own[i]}`).join(' AND ')
  return `${present} AND NOT EXISTS (SELECT 1 FROM ${quoteSqlite(parentTable)} AS parent WHERE ${match})`
}

export interface ParentGuard {
  /** Expressions to read after the table's columns, one for each foreign key. */
  readonly expressions: readonly string[]
  /** Why a row must stay out, given where its guard expressions begin. */
  reason(row: Row, at: number): { readonly column: string | null; readonly reason: string } | undefined
}

/** The guard of one table. */
export const parentGuard = (table: TablePlan): ParentGuard => {
  const parents = table.requiredParents
  return {
    expressions: parents.map((parent) => orphanCondition(table.source, parent)),
    reason: (row, at) => {
      const index = parents.findIndex((_parent, i) => Number(row[at + i]) === 1)
      const parent = parents[index]
      if (!parent) return undefined
      return { column: parent.columns[0] ?? null, reason: `orphan: no such row in ${parent.parentTable}` }
    },
  }
}
