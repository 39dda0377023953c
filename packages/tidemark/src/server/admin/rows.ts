import type { Operator } from './operator.js'

/** Viewers look at everything but what rows hold. */
export const seesRows = ({ role }: Operator): boolean => role !== 'viewer'

/** The same, where rows that differ are counted and not shown. */
export const withoutRows = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (Array.isArray(value)) return value.map(withoutRows) as T
  const shown = Object.entries(value).map(([name, inner]) =>
    name === 'differences' && Array.isArray(inner) ? [name, []] : [name, withoutRows(inner)],
  )
  return Object.fromEntries(shown) as T
}

export const shownTo = <T>(operator: Operator, value: T): T => (seesRows(operator) ? value : withoutRows(value))
