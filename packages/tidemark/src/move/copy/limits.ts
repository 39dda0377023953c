/** What a type's modifier takes away: Postgres rounds, cuts or pads beyond it, often without a word. */

import { readMoment, readTime } from '../moments.js'
import type { ColumnPlan } from '../move.js'
import type { SqliteValue } from './encode.js'
import { plainDecimal } from './numeric-binary.js'

/** Answers why a value does not fit as it is. */
export type Limit = (value: SqliteValue) => string | undefined

const numericLimit = (type: string, precision: number, scale: number): Limit => {
  const [bound, factor] = [10 ** (precision - scale), 10 ** scale]
  const isWithin = (value: number | bigint): boolean => {
    if (typeof value === 'number' && Math.abs(value) < bound && Math.round(value * factor) / factor === value) return true
    const [whole = '', fraction = ''] = plainDecimal(value).replace('-', '').split('.')
    return /^\d+$/.test(whole) && whole.replace(/^0+/, '').length <= precision - scale && fraction.length <= scale
  }
  return (value) => {
    if (typeof value !== 'number' && typeof value !== 'bigint') return undefined
    return isWithin(value) ? undefined : `a number that does not fit into ${type}`
  }
}

const textLimit = (type: string, characters: number): Limit => {
  const isPadded = type.startsWith('character(')
  return (value) => {
    if (typeof value !== 'string') return undefined
    if (isPadded && value.endsWith(' ')) return `text with a blank at its end, which ${type} forgets`
    return value.length > characters && [...value].length > characters ? `text that does not fit into ${type}` : undefined
  }
}

/** Digits after the point that say something. */
const digitsOf = (fraction: string): number => fraction.replace(/0+$/, '').length

const microsPer = { seconds: 1_000_000n, milliseconds: 1000n, microseconds: 1n } as const

const momentLimit = ({ conversion, targetType }: ColumnPlan, digits: number): Limit => {
  const tooFine = `a time finer than ${targetType}`
  if (conversion.kind === 'epoch') {
    const step = 10n ** BigInt(6 - digits)
    const unit = microsPer[conversion.unit]
    const isWhole = (value: SqliteValue): value is number | bigint => typeof value === 'bigint' || Number.isInteger(value)
    return (value) => (isWhole(value) && (BigInt(value) * unit) % step !== 0n ? tooFine : undefined)
  }
  return (value) => {
    const fraction = typeof value === 'string' ? (readMoment(value) ?? readTime(value))?.fraction : undefined
    return digitsOf(fraction ?? '') > digits ? tooFine : undefined
  }
}

/** The limit of a column's type, where its modifier sets one. */
export const limitOf = (column: ColumnPlan): Limit | undefined => {
  const [, first, second = '0'] = /\((\d+)(?:,(-?\d+))?\)/.exec(column.targetType) ?? []
  if (first === undefined) return undefined
  if (column.targetType.startsWith('numeric')) return numericLimit(column.targetType, Number(first), Number(second))
  if (column.targetType.startsWith('character')) return textLimit(column.targetType, Number(first))
  return /^time/.test(column.targetType) ? momentLimit(column, Number(first)) : undefined
}
