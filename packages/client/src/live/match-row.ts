import type { AnyRow } from '../schema.js'
import { compareValues } from './compare-values.js'
import type { ResolvedSpec, Test } from './live-spec.js'

const isNull = (value: unknown): value is null | undefined => value === null || value === undefined

/** As SQL has it: what is compared with null is not known, so it does not hold. */
const holds = (row: AnyRow, { column, operator, value }: Test): boolean => {
  const found = row[column]
  if (operator === 'is') return isNull(found)
  if (isNull(found) || isNull(value)) return false
  if (operator === 'in') return (value as readonly unknown[]).some((one) => !isNull(one) && compareValues(found, one) === 0)
  const order = compareValues(found, value)
  switch (operator) {
    case 'eq':
      return order === 0
    case 'neq':
      return order !== 0
    case 'gt':
      return order > 0
    case 'gte':
      return order >= 0
    case 'lt':
      return order < 0
    case 'lte':
      return order <= 0
  }
}

/** Whether a row is one of those that are asked for. */
export const matchRow = ({ tests }: Pick<ResolvedSpec, 'tests'>, row: AnyRow): boolean => tests.every((test) => holds(row, test))

/** Below zero where `a` comes first. */
export const compareRows = ({ order }: Pick<ResolvedSpec, 'order'>, a: AnyRow, b: AnyRow): number => {
  for (const { column, direction } of order) {
    const [left, right] = [a[column], b[column]]
    const nulls = Number(isNull(left)) - Number(isNull(right))
    const sign = direction === 'asc' ? 1 : -1
    const result = nulls !== 0 || isNull(left) ? nulls : compareValues(left, right)
    if (result !== 0) return sign * result
  }
  return 0
}

/** What names a row: the values of its key. Undefined where it lacks one, as a row that was never in the database may. */
export const keyOf = (key: readonly string[], row: AnyRow): string | undefined => {
  const values = key.map((column) => row[column])
  return values.some(isNull) ? undefined : values.length === 1 ? String(values[0]) : JSON.stringify(values)
}
