import { keepsFormat, keepsFraction, readDate, readMoment, readTime } from '../moments.js'
import type { Conversion } from '../move.js'
import { instantOf } from '../time-zones.js'
import type { CopyWriter } from './copy-writer.js'
import { describe, type Encode } from './encode.js'
import { exactInteger } from './encode-number.js'

/** Days and seconds from 1970-01-01 to Postgres' epoch, 2000-01-01. */
const epochDays = 10_957
const epochSeconds = epochDays * 86_400

export const date: Encode = (writer, value) => {
  const days = typeof value === 'string' && value.length === 10 ? readDate(value) : Number.NaN
  if (Number.isNaN(days)) return `${describe(value)} that is no date of the form YYYY-MM-DD`
  writer.int32(days - epochDays)
  return undefined
}

export const time =
  ({ fraction }: Extract<Conversion, { kind: 'time' }>): Encode =>
  (writer, value) => {
    const read = typeof value === 'string' ? readTime(value) : undefined
    if (!read || !keepsFraction(read.fraction, fraction)) return `${describe(value)} that is no time of the form HH:MM:SS`
    writer.int64(read.microseconds)
    return undefined
  }

/** A moment in microseconds since 2000; beyond the year 2255 they are more than a double holds exactly. */
const writeMicroseconds = (writer: CopyWriter, seconds: number, microseconds: number): void => {
  const total = (seconds - epochSeconds) * 1e6 + microseconds
  if (Number.isSafeInteger(total)) writer.int64(total)
  else writer.bigint64(BigInt(seconds - epochSeconds) * 1_000_000n + BigInt(microseconds))
}

export const timestamp =
  ({ format }: Extract<Conversion, { kind: 'timestamp' }>): Encode =>
  (writer, value) => {
    const moment = typeof value === 'string' ? readMoment(value) : undefined
    const keeps = moment && (format ? keepsFormat(moment, format) : moment.zone === '')
    if (!keeps) return `${describe(value)} that is no time in the column's format`
    writeMicroseconds(writer, moment.days * 86_400 + moment.secondOfDay, moment.microseconds)
    return undefined
  }

export const timestamptz =
  ({ format, timeZone }: Extract<Conversion, { kind: 'timestamptz' }>): Encode =>
  (writer, value, cell) => {
    const moment = typeof value === 'string' ? readMoment(value) : undefined
    if (!moment || (format && !keepsFormat(moment, format))) return `${describe(value)} that is no time in the column's format`
    const wall = moment.days * 86_400 + moment.secondOfDay
    const instant =
      moment.zone === ''
        ? instantOf(timeZone, wall)
        : ({ seconds: wall - moment.offsetMinutes * 60, certainty: 'exact' } as const)
    if (instant.certainty === 'skipped') return `a local time that the clocks of ${timeZone} skipped`
    if (instant.certainty === 'repeated') cell.replaced(`a local time that came twice in ${timeZone}; the later one is taken`)
    writeMicroseconds(writer, instant.seconds, moment.microseconds)
    return undefined
  }

const microsecondsPer = { seconds: 1_000_000n, milliseconds: 1000n, microseconds: 1n } as const
const earliest = -210_866_803_200_000_000n
const beyondLatest = 9_224_318_016_000_000_000n

export const epoch =
  ({ unit }: Extract<Conversion, { kind: 'epoch' }>): Encode =>
  (writer, value, cell) => {
    const exact = exactInteger(value, cell)
    if (exact === undefined) return `${describe(value)} in a column of ${unit} since 1970`
    const micros = BigInt(exact) * microsecondsPer[unit]
    if (micros < earliest || micros >= beyondLatest) return `${exact} ${unit} since 1970 is no time that Postgres can hold`
    writer.bigint64(micros - BigInt(epochSeconds) * 1_000_000n)
    return undefined
  }
