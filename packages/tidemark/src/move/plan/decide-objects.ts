import type { ColumnPlan, ObjectDecision, TablePlan } from '../move.js'
export const translateColumnSql = (_s: unknown, t: TablePlan, _x: unknown): { columns: readonly ColumnPlan[]; decisions: readonly ObjectDecision[] } => ({ columns: t.columns, decisions: [] })
export const decideTableObjects = (..._a: unknown[]): readonly ObjectDecision[] => []
export const decideObjects = (..._a: unknown[]): readonly ObjectDecision[] => []
