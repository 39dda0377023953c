import type { SqlFunction } from '../catalogue.js'

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * Overloads by the number of their arguments, then by these arguments' names and types: the order in which a refusal lists them. It
 * does not depend on which was created first, so that two databases with the same schema answer the same.
 */
export const inSignatureOrder = (a: SqlFunction, b: SqlFunction): number => {
  const fewer = a.arguments.length - b.arguments.length
  if (fewer !== 0) return fewer
  for (const [index, argument] of a.arguments.entries()) {
    const other = b.arguments[index]
    const order = other ? compareTexts(argument.name, other.name) || compareTexts(argument.type, other.type) : 1
    if (order !== 0) return order
  }
  return a.oid - b.oid
}
