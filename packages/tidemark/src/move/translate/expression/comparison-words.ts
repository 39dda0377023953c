import type { ComparisonOperator } from './expression-tree.js'
import { allImmutable, boolean, type Operand, wrap } from './operand.js'

const words: Readonly<Record<ComparisonOperator, string>> = {
  '=': '=',
  '<>': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  is: 'IS NOT DISTINCT FROM',
  'is not': 'IS DISTINCT FROM',
}

/** `left operator right` of two operands that Postgres compares as they stand. */
export const pair = (operator: ComparisonOperator, left: Operand, right: Operand): Operand => {
  const result = boolean(`${wrap(left)} ${words[operator]} ${wrap(right)}`, allImmutable(left, right))
  return operator === '=' ? { ...result, equality: { left: wrap(left), right: wrap(right) } } : result
}
