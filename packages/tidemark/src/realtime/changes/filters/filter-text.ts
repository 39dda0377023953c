import { TidemarkError } from '../../../errors.js'

const operators = ['eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in', 'like', 'ilike', 'is', 'match', 'imatch', 'isdistinct'] as const

export type FilterOperator = (typeof operators)[number]

/** One condition of a filter, as it was written. */
export interface FilterTerm {
  readonly column: string
  readonly operator: FilterOperator
  readonly negated: boolean
  /** Without its quotes; of `in` what stands between the parentheses. */
  readonly value: string
}

const isOperator = (text: string): text is FilterOperator => operators.some((operator) => operator === text)

/** A filter that cannot be read, in the words of Supabase Realtime. */
const badFilter = (reason: string): TidemarkError<'TM_REALTIME_FILTER'> =>
  new TidemarkError('TM_REALTIME_FILTER', { reason: `Error parsing \`filter\` params: ${reason}` })

/** Characters behind which a quote opens a quoted value; anywhere else it is a character like others. */
const opensQuotes = '.(,'

/** Takes the filter apart at its commas, those in parentheses and quotes apart. */
const segmentsOf = (filter: string): string[] => {
  const segments: string[] = []
  let depth = 0
  let quoted = false
  let from = 0
  for (let at = 0; at < filter.length; at += 1) {
    const character = filter[at]
    if (quoted) {
      if (character === '\\') at += 1
      else if (character === '"') quoted = false
    } else if (character === '"') quoted = at > from && opensQuotes.includes(filter[at - 1] ?? '')
    else if (character === '(') depth += 1
    else if (character === ')') depth = Math.max(0, depth - 1)
    else if (character === ',' && depth === 0) {
      segments.push(filter.slice(from, at))
      from = at + 1
    }
  }
  segments.push(filter.slice(from))
  return segments
}

/** `"a \"b\""` as `a "b"`; what is not quoted from its beginning to its end stays as it is. */
const unquoted = (value: string): string => {
  if (!value.startsWith('"')) return value
  let plain = ''
  for (let at = 1; at < value.length; at += 1) {
    if (value[at] === '"') return at === value.length - 1 ? plain : value
    if (value[at] === '\\' && at + 1 < value.length) at += 1
    plain += value[at]
  }
  return value
}

const valueFor = (operator: FilterOperator, value: string): string => {
  if (operator !== 'in') return unquoted(value)
  if (value.length >= 2 && value.startsWith('(') && value.endsWith(')')) return value.slice(1, -1)
  throw badFilter('`in` filter value must be wrapped by parentheses')
}

const listed = (...parts: readonly string[]): string => `[${parts.map((part) => JSON.stringify(part)).join(', ')}]`

const termOf = (segment: string): FilterTerm => {
  const text = segment.trim()
  if (text === '') throw badFilter('filter must not contain empty segments (check for extra commas)')
  const equals = text.indexOf('=')
  if (equals < 0) throw badFilter(listed(text))
  const right = text.slice(equals + 1)
  const negated = right.startsWith('not.')
  const condition = negated ? right.slice('not.'.length) : right
  const dot = condition.indexOf('.')
  if (dot < 0) throw badFilter(listed(condition))
  const [operator, value] = [condition.slice(0, dot), condition.slice(dot + 1)]
  if (!isOperator(operator)) throw badFilter(listed(operator, value))
  return { column: text.slice(0, equals), operator, negated, value: valueFor(operator, value) }
}

/** The longest filter that is read. */
const maxLength = 65_536

/**
 * The conditions of a filter, all of which have to hold: `column=[not.]op.value`, joined by commas. Empty for an empty text. Raises
 * TM_REALTIME_FILTER.
 */
export const parseFilter = (filter: string | undefined): readonly FilterTerm[] => {
  const text = filter?.trim() ?? ''
  if (text === '') return []
  if (text.length > maxLength) throw badFilter(`it is longer than ${maxLength} characters`)
  if (text.includes('\0')) throw badFilter('it holds a zero byte')
  return segmentsOf(text).map(termOf)
}
