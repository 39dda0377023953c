/** Dates and times as Postgres writes them with DateStyle ISO, and as numbers that can be compared. */

const form = /^(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:([+-])(\d\d)(?::(\d\d)(?::(\d\d))?)?)?( BC)?$/

/** Days from 1970 to a day of the proleptic Gregorian calendar. */
const daysFrom1970 = (year: number, month: number, day: number): number => {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

const microsPerSecond = 1_000_000n

/** Outside of what Postgres holds. */
const infinity = 2n ** 64n

/** Microseconds since 1970 of a date, timestamp or timestamptz; undefined for a text that is none. */
export const momentMicros = (text: string): bigint | undefined => {
  if (text === 'infinity') return infinity
  if (text === '-infinity') return -infinity
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', sign, zoneHour, zoneMinute, zoneSecond, bc] =
    form.exec(text) ?? []
  if (year === undefined) return undefined
  const days = daysFrom1970(bc === undefined ? Number(year) : 1 - Number(year), Number(month), Number(day))
  const zone = Number(zoneHour ?? 0) * 3600 + Number(zoneMinute ?? 0) * 60 + Number(zoneSecond ?? 0)
  const seconds = days * 86_400 + Number(hour) * 3600 + Number(minute) * 60 + Number(second) - (sign === '-' ? -zone : zone)
  return BigInt(seconds) * microsPerSecond + BigInt(fraction.padEnd(6, '0'))
}

/** `2024-01-02 03:04:05+00` as Postgres puts it into JSON: `2024-01-02T03:04:05+00:00`. */
export const momentJsonText = (text: string): string =>
  text.replace(/^(\d{4,}-\d\d-\d\d) /, '$1T').replace(/([+-]\d\d)(?= BC$|$)/, '$1:00')
