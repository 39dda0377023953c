/** Moments as Postgres writes them (ISO, UTC), read and written again in the format of the file's column. */
import { daysFromCivil } from '../moments.js'
import type { MomentFormat } from '../move.js'
import type { Tell } from './invert.js'

export interface Moment {
  /** Since 1970, of the clock that the text shows. */
  readonly seconds: number
  readonly microseconds: number
}

const momentForm =
  /^(\d{4,6})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?)?( BC)?$/

/** What Postgres wrote; undefined for the two infinities. A zone in the text is taken off. */
export const readPostgresMoment = (text: string): Moment | undefined => {
  if (text === 'infinity' || text === '-infinity') return undefined
  const match = momentForm.exec(text)
  if (!match) throw new TypeError('it is no date or time')
  const [
    ,
    year,
    month,
    day,
    hour = 0,
    minute = 0,
    second = 0,
    fraction = '',
    sign,
    zoneHour = 0,
    zoneMinute = 0,
    zoneSecond = 0,
    bc,
  ] = match
  const days = daysFromCivil(bc ? 1 - Number(year) : Number(year), Number(month), Number(day))
  const zone = (Number(zoneHour) * 60 + Number(zoneMinute)) * 60 + Number(zoneSecond)
  const clock = (Number(hour) * 60 + Number(minute)) * 60 + Number(second)
  return { seconds: days * 86_400 + clock - (sign === '-' ? -zone : zone), microseconds: Number(fraction.padEnd(6, '0')) }
}

const two = (number: number): string => String(number).padStart(2, '0')

/** The date of a day since 1970 in the Gregorian calendar (after Howard Hinnant's civil calendar algorithms); none beyond the years 1 to 9999. */
export const writeDate = (day: number): string | undefined => {
  const z = day + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  if (year < 1 || year > 9999) return undefined
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1)}`
}

/** The digits after the point with the point, by the column's habit; what is finer is cut off, so that the column keeps its one form. */
export const writeFraction = (microseconds: number, habit: MomentFormat['fraction'], tell: Tell): string => {
  const digits = String(microseconds).padStart(6, '0')
  const trimmed = digits.replace(/0+$/, '')
  const point = (text: string) => (text === '' ? '' : `.${text}`)
  if (habit === 'trim') return point(trimmed)
  if (habit === 'auto') return point(microseconds === 0 ? '' : digits)
  if (trimmed.length <= habit) return point(digits.slice(0, habit))
  tell(`a time finer than the file's column is written: ${trimmed.length} digits after the point, cut to ${habit}`, 'narrowed')
  return point(digits.slice(0, habit))
}

/** A wall clock time in a format; undefined beyond the years that have four digits. */
export const writeMoment = ({ seconds, microseconds }: Moment, format: MomentFormat, tell: Tell): string | undefined => {
  const day = Math.floor(seconds / 86_400)
  const second = seconds - day * 86_400
  const date = writeDate(day)
  if (date === undefined) return undefined
  const clock = `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}`
  const zone = format.zone === 'none' ? '' : format.zone
  const isWhole = second % 60 === 0 && microseconds === 0
  if (!format.seconds && !isWhole) tell("a time with seconds, cut off since the file's column is written without", 'narrowed')
  if (!format.seconds) return `${date}${format.separator}${clock}${zone}`
  const fraction = writeFraction(microseconds, format.fraction, tell)
  return `${date}${format.separator}${clock}:${two(second % 60)}${fraction}${zone}`
}
