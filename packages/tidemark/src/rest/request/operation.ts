import {
  type Comparison,
  type Containment,
  comparisons,
  containments,
  type Test,
  type TextSearch,
  textSearches,
} from '../query.js'
import type { Cursor } from './cursor.js'
import { delimiter, identifier, quoted } from './names.js'

/** A test, and whether it is meant the other way round. */
export interface Operation {
  readonly negated: boolean
  readonly test: Test
}

/** Reads what an operator is applied to. Always can: an empty value is one. */
export type ValueReader = (cursor: Cursor) => string

const isComparison = (word: string): word is Comparison => (comparisons as readonly string[]).includes(word)
const isContainment = (word: string): word is Containment => (containments as readonly string[]).includes(word)
const isTextSearch = (word: string): word is TextSearch => (textSearches as readonly string[]).includes(word)

/** An element of `in.(…)`: in quotes, or up to the next comma or parenthesis. */
const listElement = (cursor: Cursor): string => {
  const from = cursor.at
  const value = quotedAlone(cursor)
  if (value !== undefined) return value
  return upToListEnd(cursor, from)
}

const listEnd = /[,)]/g
const upToListEnd = (cursor: Cursor, from: number): string => {
  listEnd.lastIndex = from
  const end = listEnd.exec(cursor.text)?.index ?? cursor.text.length
  if (end > from) cursor.moveTo(end)
  return cursor.text.slice(from, end)
}

/** A text in quotes, where nothing follows them but the next element or the end. */
const quotedAlone = (cursor: Cursor): string | undefined => {
  const { at, miss } = cursor
  if (cursor.text[at] !== '"') return undefined
  const value = quoted(cursor)
  const next = cursor.text[cursor.at]
  if (value !== undefined && (next === undefined || next === ',' || next === ')')) return value
  cursor.at = at
  cursor.miss = miss
  return undefined
}

const list = (cursor: Cursor): readonly string[] | undefined => {
  cursor.spaces()
  if (!cursor.take('(')) return undefined
  cursor.spaces()
  const nothing = cursor.text[cursor.at] === ')'
  const values = [listElement(cursor)]
  while (cursor.take(',')) values.push(listElement(cursor))
  if (!cursor.take(')')) return undefined
  cursor.spaces()
  return nothing ? [] : values
}

const isValues = ['null', 'not_null', 'true', 'false', 'unknown'] as const
const isLabels = ['isVal: (null, not_null, true, false, unknown)']

const isValue = (cursor: Cursor): (typeof isValues)[number] | undefined => {
  const { at, miss, text } = cursor
  for (const value of isValues) {
    let same = 0
    while (same < value.length && text[at + same]?.toLowerCase() === value[same]) same += 1
    if (same === value.length) {
      cursor.moveTo(at + same)
      return value
    }
    cursor.at = at + same
    cursor.expected([])
    cursor.at = at
  }
  cursor.relabel(isLabels, miss)
  return undefined
}

const quantifiers = ['any', 'all'] as const

/** `(any).` or `(all).` */
const quantifier = (text: string, at: number): 'any' | 'all' | undefined =>
  quantifiers.find((word) => text.startsWith(`(${word}).`, at))

const comparison = (cursor: Cursor, operator: Comparison, at: number, value: ValueReader): Test | undefined => {
  const { text } = cursor
  const wild = operator === 'like' || operator === 'ilike'
  const read = () => (wild ? value(cursor).replaceAll('*', '%') : value(cursor))
  if (text[at] === '.') {
    cursor.moveTo(at + 1)
    return { operator, value: read() }
  }
  const quantified = operator === 'neq' ? undefined : quantifier(text, at)
  if (!quantified) return undefined
  cursor.moveTo(at + quantified.length + 3)
  return { operator, quantifier: quantified, value: read() }
}

const textSearch = (cursor: Cursor, operator: TextSearch, at: number, value: ValueReader): Test | undefined => {
  if (cursor.text[at] === '.') {
    cursor.moveTo(at + 1)
    return { operator, configuration: undefined, value: value(cursor) }
  }
  if (cursor.text[at] !== '(') return undefined
  const { at: from, miss } = cursor
  cursor.moveTo(at + 1)
  const configuration = identifier(cursor)
  if (configuration !== undefined && cursor.text.startsWith(').', cursor.at)) {
    cursor.moveTo(cursor.at + 2)
    return { operator, configuration, value: value(cursor) }
  }
  cursor.at = from
  cursor.miss = miss
  return undefined
}

const operatorWord = /[a-z]*/y

/** What the operator that stands here makes of its value; undefined with nothing read where there is none. */
const known = (cursor: Cursor, value: ValueReader): Test | undefined => {
  operatorWord.lastIndex = cursor.at
  const word = operatorWord.exec(cursor.text)?.[0] ?? ''
  const at = cursor.at + word.length
  if (isComparison(word)) return comparison(cursor, word, at, value)
  if (isTextSearch(word)) return textSearch(cursor, word, at, value)
  if (cursor.text[at] !== '.') return undefined
  if (isContainment(word) || word === 'isdistinct') {
    cursor.moveTo(at + 1)
    return { operator: word, value: value(cursor) }
  }
  if (word === 'in') {
    cursor.moveTo(at + 1)
    const values = list(cursor)
    return values && { operator: 'in', values }
  }
  if (word === 'is') {
    cursor.moveTo(at + 1)
    const is = isValue(cursor)
    return is && { operator: 'is', value: is }
  }
  return undefined
}

/** In the order in which PostgREST tries them. */
const plainOperators = ['neq', 'cs', 'cd', 'ov', 'sl', 'sr', 'nxr', 'nxl', 'adj']
const quantifiedOperators = ['eq', 'gte', 'gt', 'lte', 'lt', 'like', 'ilike', 'match', 'imatch']
const operatorLabels = ['operator (eq, gt, ...)']

/** Reads in vain, to know how far an operator was right. */
const tryOperator = (cursor: Cursor, operator: string, behind: (cursor: Cursor) => void): boolean => {
  const { at, miss } = cursor
  const begun = cursor.word(operator)
  if (begun) {
    behind(cursor)
    delimiter(cursor)
  }
  cursor.back(at, miss)
  return begun
}

/** `(`, something, `)`: as far as it is right. */
const inParentheses = (cursor: Cursor, inner: (cursor: Cursor) => boolean): void => {
  const { at, miss } = cursor
  if (cursor.take('(') && inner(cursor) && cursor.take(')')) return
  cursor.back(at, miss)
}

const configurationIn = (cursor: Cursor) => inParentheses(cursor, (inner) => identifier(inner) !== undefined)
const quantifierIn = (cursor: Cursor) =>
  inParentheses(cursor, (inner) => {
    const { at, miss } = inner
    if (inner.word('any')) return true
    inner.back(at, miss)
    return inner.word('all')
  })

const explain = (cursor: Cursor): void => {
  const { at, miss } = cursor
  cursor.miss = undefined
  const nothing = () => {}
  for (const operator of ['in', 'is', 'isdistinct']) tryOperator(cursor, operator, nothing)
  textSearches.some((operator) => tryOperator(cursor, operator, configurationIn))
  plainOperators.some((operator) => tryOperator(cursor, operator, nothing))
  quantifiedOperators.some((operator) => tryOperator(cursor, operator, quantifierIn))
  cursor.at = at
  cursor.relabel(operatorLabels, miss)
}

/** `not.operator.value`, as in `id=eq.5`. */
export const operation = (cursor: Cursor, value: ValueReader): Operation | undefined => {
  const { at, miss } = cursor
  const negated = cursor.word('not') && delimiter(cursor)
  if (!negated) cursor.back(at, miss)
  const from = cursor.at
  const test = known(cursor, value)
  if (test) return { negated, test }
  if (cursor.at === from) explain(cursor)
  return undefined
}

/** All the rest of the text. */
export const wholeValue: ValueReader = (cursor) => {
  const { at, text } = cursor
  if (at < text.length) cursor.moveTo(text.length)
  return text.slice(at)
}

const bracedArray = /\{[^{}]*\}/y

/** A value among others: in quotes, an array in braces, or up to the next comma or parenthesis. */
export const valueInLogic: ValueReader = (cursor) => {
  const { at, text } = cursor
  const value = quotedAlone(cursor)
  if (value !== undefined) return value
  bracedArray.lastIndex = at
  const array = bracedArray.exec(text)?.[0]
  if (array === undefined) return upToListEnd(cursor, at)
  cursor.moveTo(at + array.length)
  return array
}
