/** Plans of columns and tables in which nothing is out of the ordinary. */
import type { ColumnPlan, TablePlan } from '../move.js'

export const strictPolicies: ColumnPlan['policies'] = {
  badValue: 'reject',
  nulBytes: 'reject',
  invalidUtf8: 'reject',
  nullAs: null,
  rejectsAllowed: false,
}

export const columnPlan = (given: Partial<ColumnPlan> & Pick<ColumnPlan, 'source' | 'conversion'>): ColumnPlan => ({
  target: given.source,
  declaredType: '',
  targetType: 'text',
  policies: strictPolicies,
  notNull: false,
  defaultSql: null,
  generatedSql: null,
  identity: false,
  why: '',
  invertible: true,
  ...given,
})

export const tablePlan = (columns: readonly ColumnPlan[], given: Partial<TablePlan> = {}): TablePlan => ({
  source: 't',
  targetSchema: 'public',
  target: 't',
  rowKey: { kind: 'rowid', name: 'rowid' },
  reportKey: [],
  rows: 0,
  columns,
  primaryKey: [],
  highWater: null,
  requiredParents: [],
  rejectsAllowed: false,
  ...given,
})
