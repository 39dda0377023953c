/** Dates and times as SQLite applications write them: one strict reader, and the search for the one format a column keeps to. */
import type { MomentFormat } from './move.js'

/** The parts of a written moment. `fraction` and `zone` are as written; minutes are minutes east of UTC. */
export interface WrittenMoment {
  readonly days: number
  readonly secondOfDay: number
  readonly microseconds: number
  readonly separator: '' | ' ' | 'T'
  readonly seconds: boolean
  readonly fraction: string
  readonly zone: string
  readonly offsetMinutes: number
}

const zero = 48
const digit = (text: string, at: number): number => {
  const d = text.charCodeAt(at) - zero
  return d >= 0 && d <= 9 ? d : Number.NaN
}
const two = (text: string, at: number): number => digit(text, at) * 10 + digit(text, at + 1)

const monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const
const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0

/** Days from 1970-01-01 to a date of the Gregorian calendar (after Howard Hinnant's civil calendar algorithms). */
export const daysFromCivil = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** Days since 1970 of `YYYY-MM-DD` at the start of the text; NaN where it is no real date of the years 1 to 9999. */
export const readDate = (text: string): number => {
  if (text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return Number.NaN
  const year = two(text, 0) * 100 + two(text, 2)
  const month = two(text, 5)
  const day = two(text, 8)
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1)) return Number.NaN
  const length = month === 2 && isLeap(year) ? 29 : monthLengths[month - 1]!
  return day <= length ? daysFromCivil(year, month, day) : Number.NaN
}

/** Seconds since midnight of `HH:MM` or `HH:MM:SS` at a place in the text; NaN where it is no time of a day. */
const readClock = (text: string, at: number, seconds: boolean): number => {
  const hour = two(text, at)
  const minute = two(text, at + 3)
  if (text.charCodeAt(at + 2) !== 58 || !(hour <= 23 && minute <= 59)) return Number.NaN
  if (!seconds) return hour * 3600 + minute * 60
  const second = two(text, at + 6)
  return text.charCodeAt(at + 5) === 58 && second <= 59 ? hour * 3600 + minute * 60 + second : Number.NaN
}

const fractionEnd = (text: string, from: number): number => {
  let end = from
  while (end < text.length && !Number.isNaN(digit(text, end))) end++
  return end
}

const readMicroseconds = (digits: string): number => (digits === '' ? 0 : Number(digits.padEnd(6, '0')))

const zonePattern = /^(?:Z|([+-])(\d{2}):?(\d{2})?)$/

/** Minutes east of UTC of a written zone; NaN where it is none. */
export const zoneOffsetMinutes = (zone: string): number => {
  const match = zonePattern.exec(zone)
  if (!match) return Number.NaN
  if (zone === 'Z') return 0
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0)
  return minutes > 15 * 60 + 59 ? Number.NaN : match[1] === '-' ? -minutes : minutes
}

/** Reads `YYYY-MM-DD[ T]HH:MM[:SS[.f…]][zone]` or a date alone, strictly; undefined where it is neither, or finer than a microsecond. */
export const readMoment = (text: string): WrittenMoment | undefined => {
  const days = readDate(text)
  if (Number.isNaN(days)) return undefined
  if (text.length === 10) {
    return { days, secondOfDay: 0, microseconds: 0, separator: '', seconds: false, fraction: '', zone: '', offsetMinutes: 0 }
  }
  const separator = text[10]
  if ((separator !== ' ' && separator !== 'T') || text.length < 16) return undefined
  const seconds = text.charCodeAt(16) === 58
  const secondOfDay = readClock(text, 11, seconds)
  if (Number.isNaN(secondOfDay)) return undefined
  let end = seconds ? 19 : 16
  let fraction = ''
  if (seconds && text.charCodeAt(end) === 46) {
    const last = fractionEnd(text, end + 1)
    fraction = text.slice(end + 1, last)
    if (fraction === '' || fraction.length > 6) return undefined
    end = last
  }
  const zone = text.slice(end)
  const offsetMinutes = zone === '' ? 0 : zoneOffsetMinutes(zone)
  if (Number.isNaN(offsetMinutes)) return undefined
  return { days, secondOfDay, microseconds: readMicroseconds(fraction), separator, seconds, fraction, zone, offsetMinutes }
}

/** Microseconds since midnight and the fraction as written, of `HH:MM:SS[.f…]`; undefined where it is no time. */
export const readTime = (text: string): { readonly microseconds: number; readonly fraction: string } | undefined => {
  const second = readClock(text, 0, true)
  if (Number.isNaN(second)) return undefined
  if (text.length === 8) return { microseconds: second * 1e6, fraction: '' }
  const fraction = text.charCodeAt(8) === 46 ? text.slice(9) : ''
  if (fraction === '' || fraction.length > 6 || fractionEnd(text, 9) !== text.length) return undefined
  return { microseconds: second * 1e6 + readMicroseconds(fraction), fraction }
}

/** How the fractions of a column are written, as far as seen: which of the three habits still explain every value. */
class FractionHabit {
  #fixed: number | undefined
  #isFixed = true
  #isAuto = true
  #isTrim = true

  see(fraction: string): void {
    if (this.#fixed === undefined) this.#fixed = fraction.length
    else if (this.#fixed !== fraction.length) this.#isFixed = false
    if (fraction !== '' && (fraction.length !== 6 || fraction === '000000')) this.#isAuto = false
    if (fraction.endsWith('0')) this.#isTrim = false
  }

  /** The habit that writes back every value seen; undefined where none does. */
  get habit(): MomentFormat['fraction'] | undefined {
    if (this.#isFixed) return this.#fixed ?? 'auto'
    if (this.#isAuto) return 'auto'
    return this.#isTrim ? 'trim' : undefined
  }
}

export type MomentShape =
  | { readonly kind: 'date' }
  | { readonly kind: 'time'; readonly fraction: MomentFormat['fraction'] }
  | { readonly kind: 'moment'; readonly format: MomentFormat }

/** Looks at every text of a column and finds the one way of writing moments that explains them all. */
export class MomentDetector {
  #dates = 0
  #times = 0
  #moments = 0
  #others = 0
  #separator: ' ' | 'T' | 'mixed' | undefined
  #seconds: boolean | 'mixed' | undefined
  #zone: string | undefined
  #zoneIsMixed = false
  readonly #fraction = new FractionHabit()

  /** Adds one value; returns false where it is no moment at all. */
  see(text: string): boolean {
    const moment = readMoment(text)
    if (moment) return this.#seeMoment(moment)
    const time = readTime(text)
    if (!time) {
      this.#others++
      return false
    }
    this.#times++
    this.#fraction.see(time.fraction)
    return true
  }

  #seeMoment(moment: WrittenMoment): boolean {
    if (moment.separator === '') {
      this.#dates++
      return true
    }
    this.#moments++
    this.#separator = this.#separator === undefined || this.#separator === moment.separator ? moment.separator : 'mixed'
    this.#seconds = this.#seconds === undefined || this.#seconds === moment.seconds ? moment.seconds : 'mixed'
    if (this.#zone === undefined) this.#zone = moment.zone
    else if (this.#zone !== moment.zone) this.#zoneIsMixed = true
    this.#fraction.see(moment.fraction)
    return true
  }

  /** Texts that are no date, time or moment. */
  get others(): number {
    return this.#others
  }

  /** True where every text is a date or a moment, in whatever mixture of formats. */
  get allMoments(): boolean {
    return this.#others === 0 && this.#times === 0
  }

  /** The one shape that writes back every value, byte for byte; undefined where there is none. */
  get shape(): MomentShape | undefined {
    const kinds = [this.#dates, this.#times, this.#moments, this.#others].filter((count) => count > 0).length
    if (kinds !== 1 || this.#others > 0) return undefined
    if (this.#dates > 0) return { kind: 'date' }
    const fraction = this.#fraction.habit
    if (fraction === undefined) return undefined
    if (this.#times > 0) return { kind: 'time', fraction }
    const { separator, seconds } = { separator: this.#separator, seconds: this.#seconds }
    if (separator === 'mixed' || separator === undefined || seconds === 'mixed' || seconds === undefined || this.#zoneIsMixed)
      return undefined
    return { kind: 'moment', format: { separator, seconds, fraction, zone: this.#zone === '' ? 'none' : (this.#zone ?? 'none') } }
  }
}

/** True where a written moment keeps to the format, so that writing it back gives the same text. */
export const keepsFormat = (moment: WrittenMoment, format: MomentFormat): boolean =>
  moment.separator === format.separator &&
  moment.seconds === format.seconds &&
  (moment.zone === '' ? 'none' : moment.zone) === format.zone &&
  keepsFraction(moment.fraction, format.fraction)

/** True where the digits after the point are written by the habit. */
export const keepsFraction = (fraction: string, habit: MomentFormat['fraction']): boolean => {
  if (habit === 'auto') return fraction === '' || (fraction.length === 6 && fraction !== '000000')
  return habit === 'trim' ? !fraction.endsWith('0') : fraction.length === habit
}
