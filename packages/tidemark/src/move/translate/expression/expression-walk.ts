import type { Expression } from './expression-tree.js'

/** The parts of an expression, for walks that ask the same of each. */
export const children = (expression: Expression): readonly Expression[] => {
  switch (expression.kind) {
    case 'unary':
    case 'cast':
    case 'collate':
      return [expression.operand]
    case 'binary':
      return [expression.left, expression.right]
    case 'match':
      return [expression.operand, expression.pattern, ...(expression.escaping ? [expression.escaping] : [])]
    case 'between':
      return [expression.operand, expression.low, expression.high]
    case 'in':
      return [expression.operand, ...expression.list]
    case 'case':
      return [
        ...(expression.operand ? [expression.operand] : []),
        ...expression.branches.flatMap(({ when, result }) => [when, result]),
        ...(expression.otherwise ? [expression.otherwise] : []),
      ]
    case 'call':
      return expression.args
    default:
      return []
  }
}

/** True where a COLLATE stands anywhere in it. */
export const hasCollation = (expression: Expression): boolean =>
  expression.kind === 'collate' || children(expression).some(hasCollation)

/** True where a COLLATE stands somewhere inside but not around the whole: SQLite lets it decide even then. */
export const hasInnerCollation = (expression: Expression): boolean =>
  expression.kind === 'collate' ? hasInnerCollation(expression.operand) : children(expression).some(hasCollation)
