import type { SqliteSchema, SqliteTable } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import type { Relation } from './select/select-scope.js'
import type { ExpressionColumn, ExpressionContext, PlannedColumn, TargetName } from './translation.js'

type Plans = readonly (PlannedColumn & { readonly source: string; readonly generatedSql?: string | null })[]

/** What expressions over a table have to know: the catalogue's facts joined with the plan of each column, which is found by `source`. */
export const tableContext = (
  table: Pick<SqliteTable, 'name' | 'columns' | 'rowidAlias' | 'withoutRowid'>,
  plans: Plans,
  encoding: SqliteSchema['encoding'] = 'UTF-8',
): ExpressionContext => {
  const columns = new Map<string, ExpressionColumn>()
  for (const plan of plans) {
    const fact = table.columns.find((column) => column.name === plan.source)
    if (!fact) continue
    const { target, targetType, conversion } = plan
    const { affinity, collation } = fact
    columns.set(foldAscii(plan.source), {
      target,
      targetType,
      conversion,
      affinity,
      collation,
      generatedSql: plan.generatedSql ?? null,
    })
  }
  const alias = table.rowidAlias === null ? undefined : columns.get(foldAscii(table.rowidAlias))
  // Where no column has the name, it is the rowid, which only an alias carries over.
  if (alias) for (const name of ['rowid', '_rowid_', 'oid']) if (!columns.has(name)) columns.set(name, alias)
  return { columns, table: table.name, encoding }
}

/** A carried table as what views may read, its columns in the file's order. */
export const tableRelation = (
  table: Pick<SqliteTable, 'name' | 'columns' | 'rowidAlias' | 'withoutRowid'>,
  plans: Plans,
  target: TargetName,
): Relation => {
  const { columns } = tableContext(table, plans)
  return {
    target,
    columns: table.columns.flatMap(({ name }) => {
      const column = columns.get(foldAscii(name))
      return column ? [{ source: name, column }] : []
    }),
  }
}
