import type { OrderTerm } from '../query.js'
import { type Cursor, parsed } from './cursor.js'
import { delimiter, field, fieldName } from './names.js'

/** `.word`, one of them; undefined with nothing read where none is here. */
const oneOf = <T extends string>(cursor: Cursor, words: readonly T[]): T | undefined => {
  const { at } = cursor
  for (const word of words) {
    const { miss } = cursor
    if (delimiter(cursor) && cursor.word(word)) return word
    cursor.back(at, miss)
  }
  return undefined
}

const commaLabels = ['","']
const ended = (cursor: Cursor): boolean => {
  if (cursor.text[cursor.at] === ',') return true
  if (cursor.at < cursor.text.length) cursor.expected(commaLabels)
  return cursor.ends()
}

type Direction = Pick<OrderTerm, 'direction' | 'nulls'>
const direction = (cursor: Cursor): Direction | undefined => {
  const way = oneOf(cursor, ['asc', 'desc'])
  const nulls = oneOf(cursor, ['nullsfirst', 'nullslast'])
  if (!ended(cursor)) return undefined
  return { direction: way, nulls: nulls === undefined ? undefined : nulls === 'nullsfirst' ? 'first' : 'last' }
}

/** `author(name).desc` */
const relatedTerm = (cursor: Cursor): OrderTerm | undefined => {
  const relation = fieldName(cursor)
  if (relation === undefined || !cursor.take('(')) return undefined
  const column = field(cursor)
  if (!column || !cursor.take(')')) return undefined
  const way = direction(cursor)
  return way && { relation, field: column, ...way }
}

const plainTerm = (cursor: Cursor): OrderTerm | undefined => {
  const column = field(cursor)
  if (!column) return undefined
  const way = direction(cursor)
  return way && { relation: undefined, field: column, ...way }
}

const term = (cursor: Cursor): OrderTerm | undefined => {
  cursor.spaces()
  const { at, miss } = cursor
  const related = relatedTerm(cursor)
  if (related) return related
  cursor.back(at, miss)
  return plainTerm(cursor)
}

const terms = (cursor: Cursor): readonly OrderTerm[] | undefined => {
  const first = term(cursor)
  if (!first) return undefined
  const result = [first]
  while (cursor.take(',')) {
    const next = term(cursor)
    if (!next) return undefined
    result.push(next)
  }
  return result
}

/** The value of `order`. */
export const parseOrder = (text: string): readonly OrderTerm[] => parsed('order', text, terms)
