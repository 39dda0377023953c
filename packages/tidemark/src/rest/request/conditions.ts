import type { Condition, Filter } from '../query.js'
import { type Cursor, parsed } from './cursor.js'
import { comma, delimiter, field } from './names.js'
import { type Operation, operation, valueInLogic, wholeValue } from './operation.js'

const filterInLogic = (cursor: Cursor): Filter | undefined => {
  const column = field(cursor)
  if (!column || !delimiter(cursor)) return undefined
  const tested = operation(cursor, valueInLogic)
  return tested && { kind: 'filter', field: column, ...tested }
}

const notLabels = ['negation operator (not)']
const negation = (cursor: Cursor): boolean => {
  const { at, miss } = cursor
  cursor.miss = undefined
  if (cursor.word('not') && delimiter(cursor)) return true
  cursor.at = at
  cursor.relabel(notLabels, miss)
  return false
}

const logicLabels = ['logic operator (and, or)']
const logicOperator = (cursor: Cursor): 'and' | 'or' | undefined => {
  const { at, miss } = cursor
  cursor.miss = undefined
  if (cursor.word('and')) return 'and'
  cursor.back(at, undefined)
  if (cursor.word('or')) return 'or'
  if (cursor.at === at) cursor.relabel(logicLabels, miss)
  return undefined
}

const group = (cursor: Cursor): readonly Condition[] | undefined => {
  cursor.spaces()
  if (!cursor.take('(')) return undefined
  cursor.spaces()
  const first = condition(cursor)
  if (!first) return undefined
  const conditions = [first]
  while (comma(cursor)) {
    const next = condition(cursor)
    if (!next) return undefined
    conditions.push(next)
    cursor.miss = undefined
  }
  if (!cursor.take(')')) return undefined
  cursor.spaces()
  return conditions
}

const condition = (cursor: Cursor): Condition | undefined => {
  const { at, miss } = cursor
  const filter = filterInLogic(cursor)
  if (filter) return filter
  cursor.back(at, miss)
  const negated = negation(cursor)
  const kind = logicOperator(cursor)
  const conditions = kind && cursor.nested(group)
  return conditions && { kind, negated, conditions }
}

/** `or=(a.eq.1,b.eq.2)`, whose operator is `not.or`. A filter where that is what both make together. */
export const parseLogic = (operator: string, value: string): Condition => parsed('logic tree', operator + value, condition, value)

/** `eq.5` and the like. */
export const parseOperation = (value: string): Operation => parsed('filter', value, (cursor) => operation(cursor, wholeValue))

/**
 * Of an argument of a function: a filter of its result, or undefined for a plain value. A value that begins like `not.`, `in.` or
 * `is.` and does not go on as these must is an error, as with PostgREST.
 */
export const parseOperationOrValue = (value: string): Operation | undefined => {
  const read = parsed('filter', value, (cursor) => {
    const tested = operation(cursor, wholeValue)
    return tested ?? (cursor.at === 0 ? 'value' : undefined)
  })
  return read === 'value' ? undefined : read
}
