/** Whether a value of the file is the one that a text of Postgres stands for, also where there is no exact way back. */
import { numberAsText } from '../copy/encode-number.js'
import { plainDecimal } from '../copy/numeric-binary.js'
import { readMoment } from '../moments.js'
import type { ColumnPlan } from '../move.js'
import { instantOf } from '../time-zones.js'
import { createReader } from '../verify/source-canonical.js'
import type { FileValue } from './invert.js'
import { normalDecimal } from './invert-number.js'
import { readPostgresMoment } from './write-moment.js'

/** `raw` are the bytes of a text as UTF-8; asked for only where the value leaves a doubt. */
export type SameValue = (value: FileValue, raw: () => Buffer, text: string | null) => boolean

/** JSON with each number as a text of its digits, so that none is rounded on the way. */
const parseJson = (text: string): unknown =>
  JSON.parse(
    text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
      token.startsWith('"') ? token : JSON.stringify(`#${normalDecimal(expand(token))}`),
    ),
  )

/** Digits without an exponent; one that no jsonb can hold stays as it is. */
const expand = (token: string): string => {
  const [, mantissa = '', exponent] = /^([^eE]*)(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  const power = Number(exponent ?? 0)
  if (power === 0 || Math.abs(power) > 20_000) return power === 0 ? mantissa : token
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.')
  const point = whole.length + power
  const digits = whole + fraction
  const sign = mantissa.startsWith('-') ? '-' : ''
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return point >= digits.length ? sign + digits.padEnd(point, '0') : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

const isSameJson = (a: unknown, b: unknown): boolean => {
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return a === b
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [keys, others] = [Object.keys(a), Object.keys(b)]
  return (
    keys.length === others.length &&
    keys.every(
      (key) => Object.hasOwn(b, key) && isSameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  )
}

/** The instant of a moment that the file has written in any ISO form; as microseconds since 1970. */
const instantOfText = (text: string, timeZone: string): bigint | undefined => {
  const moment = readMoment(text)
  if (!moment) return undefined
  const wall = moment.days * 86_400 + moment.secondOfDay
  const seconds = moment.zone === '' ? instantOf(timeZone, wall).seconds : wall - moment.offsetMinutes * 60
  return BigInt(seconds) * 1_000_000n + BigInt(moment.microseconds)
}

const microsecondsOf = (text: string): bigint | undefined => {
  const moment = readPostgresMoment(text)
  return moment && BigInt(moment.seconds) * 1_000_000n + BigInt(moment.microseconds)
}

const sameText = (read: string | null | undefined, text: string): boolean => read === text

/** The comparison of one column. `back` is its exact way back, for the conversions that have one. */
export const createSameValue = (column: ColumnPlan, back: (text: string) => FileValue | undefined): SameValue => {
  const { conversion } = column
  const read = createReader(column)
  const reading = (value: FileValue, raw: () => Buffer) =>
    read(value, () => ({
      storage: Buffer.isBuffer(value) ? 'blob' : typeof value === 'string' ? 'text' : 'number',
      value,
      raw: raw(),
    })).text

  const differs = (value: FileValue, text: string): boolean => {
    const expected = back(text)
    if (expected === undefined) return true
    if (Buffer.isBuffer(value) || Buffer.isBuffer(expected))
      return !(Buffer.isBuffer(value) && Buffer.isBuffer(expected) && value.equals(expected))
    const isNumber = (each: FileValue) => typeof each === 'number' || typeof each === 'bigint'
    if (isNumber(value) && isNumber(expected))
      return plainDecimal(value as number | bigint) !== plainDecimal(expected as number | bigint)
    return value !== expected
  }

  const isSame = (value: FileValue, raw: () => Buffer, text: string): boolean => {
    switch (conversion.kind) {
      case 'text':
      case 'anyText':
      case 'json':
        return sameText(reading(value, raw), text)
      case 'bytes':
      case 'anyBytes':
        return sameText(reading(value, raw), text.slice(2))
      case 'boolean':
        return sameText(reading(value, raw), text.startsWith('t') ? 'true' : 'false')
      case 'jsonb': {
        const written = typeof value === 'string' ? value : Buffer.isBuffer(value) || value === null ? '' : numberAsText(value)
        try {
          return isSameJson(parseJson(written), parseJson(text))
        } catch {
          return false
        }
      }
      case 'uuid':
        return conversion.form === 'mapped'
          ? String(value) === String(back(text))
          : String(value).toLowerCase() === String(back(text)).toLowerCase()
      case 'timestamp':
        if (conversion.format !== null) return !differs(value, text)
        return typeof value === 'string' && instantOfText(value, 'UTC') === microsecondsOf(text)
      case 'timestamptz':
        if (conversion.format !== null) return !differs(value, text)
        return typeof value === 'string' && instantOfText(value, conversion.timeZone) === microsecondsOf(text)
      default:
        return !differs(value, text)
    }
  }

  const isBad = (value: FileValue, raw: () => Buffer): boolean => reading(value, raw) === null
  return (value, raw, text) => {
    // Where NULL stands for a value that a policy took away, the file still has the value.
    if (text === null) return value === null || isBad(value, raw)
    if (value === null) return back(text) === null
    return isSame(value, raw, text)
  }
}
