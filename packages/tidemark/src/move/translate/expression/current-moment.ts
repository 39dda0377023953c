import { affinityOf } from '../../../sqlite/affinity.js'
import { refuse } from '../refusal.js'
import type { Expression } from './expression-tree.js'

/** The present moment as an expression of SQLite gives it. */
export type CurrentMoment =
  /** Text made of fields (Y m d H M S f j) and plain pieces. */
  | { readonly kind: 'text'; readonly pieces: readonly Piece[]; readonly shift: Shift }
  /** Whole seconds or milliseconds since 1970; as text where `asText`. */
  | { readonly kind: 'epoch'; readonly unit: 'seconds' | 'milliseconds'; readonly asText: boolean; readonly shift: Shift }
  | { readonly kind: 'julian' }

export type Field = 'Y' | 'm' | 'd' | 'H' | 'M' | 'S' | 'f' | 'j'
export type Piece = { readonly field: Field } | { readonly text: string }

export interface Shift {
  /** `INTERVAL '…'` and date_trunc steps, in order, each a template with `$` for what stands before. */
  readonly steps: readonly string[]
  /** 'localtime': the clock of the machine on which the application runs. */
  readonly local: boolean
  /** 'subsec': milliseconds are written. */
  readonly subsecond: boolean
}

const noShift: Shift = { steps: [], local: false, subsecond: false }

const plainFormats: Readonly<Record<string, string>> = { F: '%Y-%m-%d', T: '%H:%M:%S', R: '%H:%M' }

const parseFormat = (format: string): Piece[] => {
  const expanded = format.replace(/%([FTR])/g, (_, letter: string) => plainFormats[letter] ?? '')
  return [...expanded.matchAll(/%(.?)|[^%]+/g)].map(([whole, letter]) => {
    if (letter === undefined) return { text: whole }
    if (letter === '%') return { text: '%' }
    return 'YmdHMSfj'.includes(letter) && letter !== ''
      ? { field: letter as Field }
      : refuse(`strftime() writes ${whole}, which has no counterpart`)
  })
}

const stringOf = (expression: Expression | undefined): string | null =>
  expression?.kind === 'literal' && typeof expression.value === 'string' ? expression.value : null

/** One modifier behind 'now'. */
const addModifier = (shift: Shift, modifier: string): Shift => {
  const word = modifier.trim().toLowerCase()
  if (word === 'localtime') return { ...shift, local: true }
  if (word === 'subsec' || word === 'subsecond') return { ...shift, subsecond: true }
  const start = /^start of (day|month|year)$/.exec(word)?.[1]
  if (start) return { ...shift, steps: [...shift.steps, `date_trunc('${start}', $)`] }
  const amount = /^([+-]?\d+(?:\.\d+)?) (second|minute|hour|day)s?$/.exec(word)
  if (amount) return { ...shift, steps: [...shift.steps, `$ + INTERVAL '${amount[1]} ${amount[2]}s'`] }
  return refuse(`the time is changed by '${modifier}', which Postgres counts otherwise`)
}

/** Reads `'now', modifier …`; null where the first argument is another moment. */
const parseShift = (args: readonly Expression[]): Shift | null => {
  if (args.length === 0) return noShift
  if (stringOf(args[0])?.toLowerCase() !== 'now') return null
  return args
    .slice(1)
    .reduce<Shift>((shift, arg) => addModifier(shift, stringOf(arg) ?? refuse('a modifier of the time is computed')), noShift)
}

const formats: Readonly<Record<string, string>> = { datetime: '%Y-%m-%d %H:%M:%S', date: '%Y-%m-%d', time: '%H:%M:%S' }

const asText = (format: string, shift: Shift): CurrentMoment => {
  const seconds = shift.subsecond ? format.replace('%S', '%f') : format
  return { kind: 'text', pieces: parseFormat(seconds), shift }
}

const parseCall = (name: string, args: readonly Expression[]): CurrentMoment | null => {
  const format = name === 'strftime' ? stringOf(args[0]) : formats[name]
  const shift = parseShift(name === 'strftime' ? args.slice(1) : args)
  if (!shift) return null
  if (name === 'unixepoch' && !shift.subsecond && !shift.local) return { kind: 'epoch', unit: 'seconds', asText: false, shift }
  if (name === 'julianday' && args.length <= 1) return { kind: 'julian' }
  if (format === undefined || format === null) return null
  if (format === '%s' && !shift.local) return { kind: 'epoch', unit: 'seconds', asText: true, shift }
  return asText(format, shift)
}

const isNumber = (expression: Expression, value: number): boolean =>
  expression.kind === 'literal' &&
  (typeof expression.value === 'bigint' || typeof expression.value === 'number') &&
  Number(expression.value) === value

const isJulianSinceEpoch = (expression: Expression): boolean =>
  expression.kind === 'binary' &&
  expression.operator === '-' &&
  isNumber(expression.right, 2440587.5) &&
  parseCurrentMoment(expression.left)?.kind === 'julian'

/** True where the expression gives a real, of which only a cast makes the whole number that {@link parseCurrentMoment} tells. */
export const isFractional = (expression: Expression): boolean =>
  expression.kind === 'binary' && expression.operator === '*' && isJulianSinceEpoch(expression.left)

/** `seconds * 1000`, and the days since 1970 times the seconds or milliseconds of a day. */
const parseProduct = (left: Expression, right: Expression): CurrentMoment | null => {
  // The product of days is a real; only whole seconds may be multiplied further.
  const inner = isFractional(left) ? null : parseCurrentMoment(left)
  if (inner?.kind === 'epoch' && inner.unit === 'seconds' && isNumber(right, 1000) && inner.shift.steps.length === 0)
    return { kind: 'epoch', unit: 'milliseconds', asText: false, shift: { ...noShift, steps: ['whole seconds'] } }
  if (!isJulianSinceEpoch(left)) return null
  if (isNumber(right, 86_400)) return { kind: 'epoch', unit: 'seconds', asText: false, shift: noShift }
  return isNumber(right, 86_400_000) ? { kind: 'epoch', unit: 'milliseconds', asText: false, shift: noShift } : null
}

/**
 * Recognises the ways in which defaults ask for the present moment; null where the expression is none of them. The days since 1970 only count as
 * whole seconds or milliseconds where a cast makes them whole.
 */
export const parseCurrentMoment = (expression: Expression): CurrentMoment | null => {
  switch (expression.kind) {
    case 'now':
      return asText(formats[expression.part === 'timestamp' ? 'datetime' : expression.part] ?? '', noShift)
    case 'call':
      return expression.distinct || expression.star ? null : parseCall(expression.name, expression.args)
    case 'cast': {
      const inner = parseCurrentMoment(expression.operand)
      if (inner?.kind === 'epoch' && affinityOf(expression.type) === 'INTEGER') return { ...inner, asText: false }
      return null
    }
    case 'binary':
      return expression.operator === '*' ? parseProduct(expression.left, expression.right) : null
    default:
      return null
  }
}
