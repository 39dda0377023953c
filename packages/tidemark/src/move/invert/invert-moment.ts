import { zoneOffsetMinutes } from '../moments.js'
import type { Conversion, MomentFormat } from '../move.js'
import { instantOf, wallSecondsOf } from '../time-zones.js'
import type { Invert } from './invert-number.js'
import { readPostgresMoment, writeFraction, writeMoment } from './write-moment.js'

/** What a column without one format of its own gets: read by SQLite's own functions, Python, JavaScript and Postgres alike. */
const anyFormat = { separator: ' ', seconds: true, fraction: 'trim', zone: 'none' } as const satisfies MomentFormat
const anyZonedFormat = { ...anyFormat, zone: '+00:00' } as const satisfies MomentFormat

const beyond = "is kept as Postgres writes it: the file's format has no form for it"

export const invertDate: Invert = (text, tell) => {
  readPostgresMoment(text)
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) tell(`${text} ${beyond}`)
  return text
}

export const invertTime =
  ({ fraction }: Extract<Conversion, { kind: 'time' }>): Invert =>
  (text, tell) => {
    const [, clock, digits = ''] = /^(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?$/.exec(text) ?? []
    if (clock === undefined) throw new TypeError('it is no time of day')
    if (clock.startsWith('24')) tell(`${text} ${beyond}`)
    return clock + writeFraction(Number(digits.padEnd(6, '0')), fraction, tell)
  }

export const invertTimestamp =
  ({ format }: Extract<Conversion, { kind: 'timestamp' }>): Invert =>
  (text, tell) => {
    const moment = readPostgresMoment(text)
    const written = moment && writeMoment(moment, format ?? anyFormat, tell)
    if (written === undefined) tell(`${text} ${beyond}`)
    return written ?? text
  }

export const invertTimestamptz = ({ format, timeZone }: Extract<Conversion, { kind: 'timestamptz' }>): Invert => {
  const written = format ?? anyZonedFormat
  const offset = written.zone === 'none' ? undefined : zoneOffsetMinutes(written.zone) * 60
  return (text, tell) => {
    const moment = readPostgresMoment(text)
    const seconds = moment && (offset === undefined ? wallSecondsOf(timeZone, moment.seconds) : moment.seconds + offset)
    const value = seconds === undefined ? undefined : writeMoment({ ...moment!, seconds }, written, tell)
    if (value === undefined) tell(`${text} ${beyond}`)
    else if (offset === undefined && instantOf(timeZone, seconds!).seconds !== moment!.seconds)
      tell(`${text} falls into an hour that the clocks of ${timeZone} show twice, and would be read as the later one`)
    return value ?? text
  }
}

const microsecondsPer = { seconds: 1_000_000n, milliseconds: 1000n, microseconds: 1n } as const

/** Counts since 1970; what is finer than the unit is cut off, as a clock does. */
export const invertEpoch =
  ({ unit }: Extract<Conversion, { kind: 'epoch' }>): Invert =>
  (text, tell) => {
    const moment = readPostgresMoment(text)
    if (!moment) {
      tell(`${text} ${beyond}`)
      return text
    }
    const total = BigInt(moment.seconds) * 1_000_000n + BigInt(moment.microseconds)
    const step = microsecondsPer[unit]
    const rest = ((total % step) + step) % step
    if (rest !== 0n) tell(`a time finer than the ${unit} that the file's column counts, cut off`, 'narrowed')
    return (total - rest) / step
  }
