import type { Field, JsonStep } from '../query.js'
import type { Cursor } from './cursor.js'

const wordLabels = ['letter', 'digit']
const nameLabels = ['field name (* or [a..z0..9_$])']
const keyLabels = ['any non reserved character different from: .,>()']
const insideQuotes = ['"\\\\"', '"\\""']
const greater = ['">"']
const minus = ['"-"']
const colon = ['":"']
const delimiterLabels = ['delimiter (.)']
const digitLabels = ['digit']

/** `"…"`, in which a backslash takes the next character as it is. */
export const quoted = (cursor: Cursor): string | undefined => {
  if (!cursor.take('"')) return undefined
  const { text } = cursor
  let value = ''
  let from = cursor.at
  for (let at = from; ; at += 1) {
    const char = text[at]
    if (char === '"') {
      cursor.moveTo(at + 1)
      return value + text.slice(from, at)
    }
    if (char === '\\' && at + 1 < text.length) {
      value += text.slice(from, at)
      from = at + 1
      at += 1
    } else if (char === undefined || char === '\\') {
      cursor.moveTo(text.length)
      cursor.expected(char === undefined ? insideQuotes : [])
      return undefined
    }
  }
}

const letter = /^\p{L}$/u
/** How many UTF-16 units the character at `at` of a name takes; 0 where it belongs to none. */
const unitsOfName = (text: string, at: number): number => {
  const code = text.charCodeAt(at)
  if (code < 128) {
    const plain = (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57)
    return plain || code === 95 || code === 32 || code === 36 ? 1 : 0
  }
  const point = text.codePointAt(at)
  if (point === undefined || Number.isNaN(code)) return 0
  const char = String.fromCodePoint(point)
  return letter.test(char) ? char.length : 0
}

/** Letters, digits, `_`, `$` and spaces, without the spaces around them. */
export const identifier = (cursor: Cursor): string | undefined => {
  const from = cursor.at
  let end = from
  for (let units = unitsOfName(cursor.text, end); units > 0; units = unitsOfName(cursor.text, end)) end += units
  if (end > from) cursor.moveTo(end)
  cursor.expected(wordLabels)
  return end > from ? cursor.text.slice(from, end).trim() : undefined
}

const keyEnd = /[(\-:.,>)]/g
/** A key of JSON that needs no quotes: anything but `( - : . , > )`. */
const bareKey = (cursor: Cursor): string | undefined => {
  const from = cursor.at
  keyEnd.lastIndex = from
  const end = keyEnd.exec(cursor.text)?.index ?? cursor.text.length
  if (end > from) cursor.moveTo(end)
  cursor.expected([])
  return end > from ? cursor.text.slice(from, end).trim() : undefined
}

/** A dash between two parts of a name; that of an arrow is none. */
const dash = (cursor: Cursor): boolean => {
  const { at, text } = cursor
  if (text[at] !== '-') {
    cursor.expected(minus)
    return false
  }
  if (text[at + 1] === '>') {
    cursor.unwanted(at + 2)
    return false
  }
  cursor.moveTo(at + 1)
  cursor.expected(greater)
  return true
}

/** Parts joined by dashes, or a text in quotes. */
const name = (cursor: Cursor, part: (cursor: Cursor) => string | undefined, labels: readonly string[]): string | undefined => {
  const from = cursor.at
  const before = cursor.miss
  cursor.miss = undefined
  let result = cursor.text[from] === '"' ? quoted(cursor) : part(cursor)
  if (cursor.at === from) {
    cursor.relabel(labels, before)
    return undefined
  }
  if (result === undefined || cursor.text[from] === '"') return result
  while (dash(cursor)) {
    const next = part(cursor)
    if (next === undefined) return undefined
    result += `-${next}`
    cursor.miss = undefined
  }
  return result
}

/** The name of a column, a relation, an alias. */
export const fieldName = (cursor: Cursor): string | undefined => name(cursor, identifier, nameLabels)

export const delimiter = (cursor: Cursor): boolean => {
  if (cursor.text[cursor.at] !== '.') {
    cursor.expected(delimiterLabels)
    return false
  }
  cursor.moveTo(cursor.at + 1)
  return true
}

/** A comma with spaces around it. */
export const comma = (cursor: Cursor): boolean => {
  cursor.spaces()
  if (!cursor.take(',')) return false
  cursor.spaces()
  return true
}

/** A colon that is not the first of `::`. */
export const aliasSeparator = (cursor: Cursor): boolean => {
  if (!cursor.take(':')) return false
  if (cursor.text[cursor.at] === ':') {
    cursor.miss = undefined
    cursor.unwanted(cursor.at + 1)
    return false
  }
  cursor.expected(colon)
  return true
}

const indexEnds = ['"->"', '"::"', '"."', '","']
/** An array's index, up to something that ends it: `->0x` is a key. */
const index = (cursor: Cursor): number | undefined => {
  const { text } = cursor
  const from = cursor.at
  if (text[from] === '-') cursor.moveTo(from + 1)
  else cursor.expected(minus)
  let end = cursor.at
  while (text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end += 1
  const none = end === cursor.at
  if (!none) cursor.moveTo(end)
  cursor.expected(digitLabels)
  if (none) return undefined
  const ended = end === text.length || /[.,)]/.test(text[end] ?? '') || text.startsWith('->', end) || text.startsWith('::', end)
  if (!ended) {
    cursor.expected(indexEnds)
    cursor.ends()
    return undefined
  }
  const value = Number(text.slice(from, end))
  return Math.max(Math.min(value, Number.MAX_SAFE_INTEGER), Number.MIN_SAFE_INTEGER) || 0
}

const arrow = (cursor: Cursor): JsonStep['arrow'] | undefined => {
  const from = cursor.at
  const before = cursor.miss
  if (cursor.word('->>')) return '->>'
  cursor.back(from, before)
  if (cursor.word('->')) return '->'
  cursor.back(from, before)
  return undefined
}

const key = (cursor: Cursor): string | number | undefined => {
  const from = cursor.at
  const before = cursor.miss
  const number = index(cursor)
  if (number !== undefined) return number
  cursor.back(from, before)
  const missed = cursor.miss
  const text = name(cursor, bareKey, keyLabels)
  if (text === undefined) cursor.back(from, missed)
  return text
}

/** Arrows and keys, possibly none. Undefined behind an arrow that nothing follows. */
export const jsonPath = (cursor: Cursor): readonly JsonStep[] | undefined => {
  const path: JsonStep[] = []
  for (let step = arrow(cursor); step; step = arrow(cursor)) {
    const to = key(cursor)
    if (to === undefined) return undefined
    path.push({ arrow: step, key: to })
    cursor.miss = undefined
  }
  return path
}

/** A column with the way into its JSON, and spaces around it. */
export const field = (cursor: Cursor): Field | undefined => {
  cursor.spaces()
  const column = fieldName(cursor)
  if (column === undefined) return undefined
  const path = jsonPath(cursor)
  if (!path) return undefined
  cursor.spaces()
  return { column, path }
}
