import type { Aggregate, Embed, SelectItem } from '../query.js'
import { type Cursor, parsed } from './cursor.js'
import { aliasSeparator, comma, field, fieldName, identifier } from './names.js'
import { emptyDraft } from './read-draft.js'

/** Something optional that began and did not go on as it must. */
const broken = Symbol('broken')

const alias = (cursor: Cursor): string | undefined => {
  const from = cursor.at
  const before = cursor.miss
  const name = fieldName(cursor)
  if (name !== undefined && aliasSeparator(cursor)) return name
  cursor.back(from, before)
  return undefined
}

const itemEnds = ['")"', '","']
/** Whether an item ends here; what ends it is left. */
const ended = (cursor: Cursor): boolean => {
  const char = cursor.text[cursor.at]
  if (char === ')' || char === ',' || char === undefined) return true
  cursor.expected(itemEnds)
  return cursor.ends()
}

const cast = (cursor: Cursor): string | undefined | typeof broken => {
  const from = cursor.at
  if (cursor.word('::')) return identifier(cursor) ?? broken
  return cursor.at === from ? undefined : broken
}

const aggregateName = (cursor: Cursor): Aggregate | undefined => {
  for (const name of ['sum', 'avg', 'count', 'max', 'min'] as const) {
    const from = cursor.at
    const before = cursor.miss
    if (cursor.word(name)) return name
    if (cursor.at === from) continue
    // `max` and `min` begin alike: the first may be begun in vain.
    if (name !== 'max' && name !== 'min') return undefined
    cursor.back(from, before)
  }
  return undefined
}

const aggregate = (cursor: Cursor): Aggregate | undefined => {
  const from = cursor.at
  const before = cursor.miss
  if (cursor.take('.')) {
    const name = aggregateName(cursor)
    if (name && cursor.word('()')) return name
  }
  cursor.back(from, before)
  return undefined
}

const all = (cursor: Cursor): SelectItem | undefined => (cursor.take('*') && ended(cursor) ? { kind: 'all' } : undefined)

/** `alias:count()::cast`. */
const count = (cursor: Cursor): SelectItem | undefined => {
  const name = alias(cursor)
  if (!cursor.word('count()')) return undefined
  const type = cast(cursor)
  return type !== broken && ended(cursor) ? { kind: 'count', alias: name, cast: type } : undefined
}

const column = (cursor: Cursor): SelectItem | undefined => {
  const name = alias(cursor)
  const read = field(cursor)
  if (!read) return undefined
  const type = cast(cursor)
  if (type === broken) return undefined
  const called = aggregate(cursor)
  const resultType = cast(cursor)
  if (resultType === broken || !ended(cursor)) return undefined
  return { kind: 'column', field: read, alias: name, cast: type, aggregate: called, aggregateCast: resultType }
}

const joinLabels = ['"left"', '"inner"']
/** `!hint`, `!inner` or `!left`; a hint may begin with the letters of these. */
const embedParameter = (cursor: Cursor): { hint: string } | { join: 'inner' | 'left' } | undefined | typeof broken => {
  if (!cursor.take('!')) return undefined
  const from = cursor.at
  for (const join of ['left', 'inner'] as const) {
    const next = cursor.text[from + join.length]
    if (cursor.text.startsWith(join, from) && (next === '(' || next === '!')) {
      cursor.moveTo(from + join.length)
      return { join }
    }
  }
  cursor.expected(joinLabels)
  const hint = fieldName(cursor)
  return hint === undefined ? broken : { hint }
}

interface EmbedHead {
  readonly relation: string
  readonly hint: string | undefined
  readonly join: 'inner' | 'left' | undefined
}

/** From the relation's name up to the parenthesis, which is left. */
const embedHead = (cursor: Cursor): EmbedHead | undefined => {
  const relation = fieldName(cursor)
  if (relation === undefined) return undefined
  const first = embedParameter(cursor)
  if (first === broken) return undefined
  const second = embedParameter(cursor)
  if (second === broken) return undefined
  if (cursor.text[cursor.at] !== '(') {
    cursor.expected(['"("'])
    return undefined
  }
  const both = [first, second]
  const hinted = both.find((one) => one && 'hint' in one)
  const joined = both.find((one) => one && 'join' in one)
  return {
    relation,
    hint: hinted && 'hint' in hinted ? hinted.hint : undefined,
    join: joined && 'join' in joined ? joined.join : undefined,
  }
}

const inside = (cursor: Cursor): readonly SelectItem[] | undefined => {
  if (!cursor.take('(')) return undefined
  const select = cursor.nested(items)
  return select && cursor.take(')') ? select : undefined
}

const spread = (cursor: Cursor): Omit<Embed, 'read'> | undefined => {
  cursor.spaces()
  if (!cursor.word('...')) return undefined
  const head = embedHead(cursor)
  return head && { kind: 'embed', alias: undefined, spread: true, ...head }
}

const related = (cursor: Cursor): Omit<Embed, 'read'> | undefined => {
  cursor.spaces()
  const name = alias(cursor)
  const head = embedHead(cursor)
  // `count()` is an aggregate, never a relation.
  if (!head || head.relation === 'count') return undefined
  return { kind: 'embed', alias: name, spread: false, ...head }
}

/** The first reader that can; what the others read is undone. Undefined with nothing undone where the last one cannot. */
const firstOf = <T>(cursor: Cursor, readers: readonly ((cursor: Cursor) => T | undefined)[]): T | undefined => {
  const from = cursor.at
  for (const [position, read] of readers.entries()) {
    const before = cursor.miss
    const result = read(cursor)
    if (result !== undefined || position === readers.length - 1) return result
    cursor.back(from, before)
  }
  return undefined
}

const item = (cursor: Cursor): SelectItem | undefined => {
  const from = cursor.at
  for (const read of [spread, related]) {
    const before = cursor.miss
    const embed = read(cursor)
    if (embed) {
      const select = inside(cursor)
      return select && { ...embed, read: emptyDraft(select) }
    }
    cursor.back(from, before)
  }
  cursor.spaces()
  const result = firstOf(cursor, [all, count, column])
  if (result) cursor.spaces()
  return result
}

/** Items with commas between them, possibly none. */
const items = (cursor: Cursor): readonly SelectItem[] | undefined => {
  const from = cursor.at
  const first = item(cursor)
  if (!first) return cursor.at === from ? [] : undefined
  const result = [first]
  while (comma(cursor)) {
    const next = item(cursor)
    if (!next) return undefined
    result.push(next)
    cursor.miss = undefined
  }
  return result
}

const whole = (cursor: Cursor): readonly SelectItem[] | undefined => {
  const read = items(cursor)
  return read?.length === 0 && cursor.at < cursor.text.length ? undefined : read
}

/** The value of `select`. All its {@link Read}s are drafts. */
export const parseSelect = (text: string): readonly SelectItem[] =>
  text === '*' ? [{ kind: 'all' }] : parsed('select parameter', text, whole)
