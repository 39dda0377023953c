import { numberAsText } from '../copy/encode-number.js'
import { baseTypeOf } from '../copy/encoders.js'
import { plainDecimal } from '../copy/numeric-binary.js'
import type { ColumnPlan } from '../move.js'
import { type FileColumn, fitsInteger } from './file-affinity.js'
import type { FileValue, Tell } from './invert.js'

export type Invert = (text: string, tell: Tell) => FileValue

/** Digits without a point at their end, zeros behind it, or a sign before nothing: two texts of one number are one text. */
export const normalDecimal = (text: string): string => {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text) ?? []
  const digits = `${whole || '0'}${fraction === '' ? '' : `.${fraction}`}`
  return digits === '0' ? digits : sign + digits
}

/** False at both ends of what doubles can be, where hardly a digit is left of a number. */
const isWithin = (number: number): boolean => Math.abs(number) > 1e-300 && Math.abs(number) < 1e300

const nearest = (text: string, number: number, tell: Tell): number => {
  if (normalDecimal(plainDecimal(number)) !== normalDecimal(text)) {
    tell(
      `${text.length > 60 ? `${text.slice(0, 60)}…` : text} is kept as ${numberAsText(number)}, the nearest number that SQLite has`,
      isWithin(number) ? 'narrowed' : undefined,
    )
  }
  return number
}

const special: Readonly<Record<string, number>> = { Infinity: Number.POSITIVE_INFINITY, '-Infinity': Number.NEGATIVE_INFINITY }

const decimal =
  (keepsReals: boolean): Invert =>
  (text, tell) => {
    if (!/^-?\d+(?:\.\d+)?$/.test(text)) throw new TypeError('it is no number')
    const plain = normalDecimal(text)
    if (!keepsReals && !plain.includes('.') && fitsInteger(BigInt(plain))) return BigInt(plain)
    return nearest(text, Number(text), tell)
  }

const whole =
  (keepsReals: boolean): Invert =>
  (text, tell) => {
    if (!/^-?\d+$/.test(text)) throw new TypeError('it is no whole number')
    return keepsReals ? nearest(text, Number(text), tell) : BigInt(text)
  }

const double =
  (round: (number: number) => number, wantsIntegers: boolean): Invert =>
  (text) => {
    const number = round(Number(text))
    if (text === '' || Number.isNaN(number)) throw new TypeError('it is no number')
    return wantsIntegers && Number.isInteger(number) && Math.abs(number) < 2 ** 63 ? BigInt(number) : number
  }

const byType = (type: string, kind: string, { affinity }: FileColumn): Invert => {
  // A column without a numeric affinity keeps whatever class is bound to it, so the conversion decides.
  const keepsReals = affinity === 'REAL' || (affinity === 'BLOB' && kind === 'real')
  if (type === 'double precision') return double((number) => number, affinity === 'BLOB' && kind !== 'real')
  if (type === 'real') return double(Math.fround, affinity === 'BLOB' && kind !== 'real')
  return type === 'numeric' ? decimal(keepsReals) : whole(keepsReals)
}

/** Numbers: whole ones as integers, unless the file's column keeps reals. */
export const invertNumber = ({ conversion, targetType }: ColumnPlan, file: FileColumn): Invert => {
  const invert = byType(baseTypeOf(targetType), conversion.kind, file)
  return (text, tell) => {
    if (text === 'NaN') {
      tell('NaN is kept as NULL: SQLite has no such number')
      return null
    }
    if (file.affinity === 'TEXT') tell('a number in a column of the file that keeps text')
    return special[text] ?? invert(text, tell)
  }
}
