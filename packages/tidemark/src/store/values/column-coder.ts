/** One column's values on their way between the application and a store. */
import { readPostgresMoment, writeMoment } from '../../move/invert/write-moment.js'
import { readMoment, zoneOffsetMinutes } from '../../move/moments.js'
import type { MomentFormat } from '../../move/move.js'
import { instantOf, wallSecondsOf } from '../../move/time-zones.js'
import type { ColumnValue, StoreKind } from '../store.js'

/** How the values of one column change; null and undefined never do. */
export interface ColumnCoder {
  encode(value: unknown): unknown
  decode(value: unknown): unknown
}

/** A numeric of Postgres as it is written there; a number of JavaScript may lack digits of it. */
export class WrittenNumber {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

/** What SQLite's own CURRENT_TIMESTAMP writes, with a fraction where there is one. */
const plainFormat = { separator: ' ', seconds: true, fraction: 'trim', zone: 'none' } as const satisfies MomentFormat

const silent = (): void => {}
const unitMs = { seconds: 1000, milliseconds: 1, microseconds: 0.001 } as const

type MomentColumn = Extract<ColumnValue, { kind: 'moment' }>

const secondsOf = (date: Date): { readonly seconds: number; readonly microseconds: number } => {
  const seconds = Math.floor(date.getTime() / 1000)
  return { seconds, microseconds: (date.getTime() - seconds * 1000) * 1000 }
}

const dateOf = (seconds: number, microseconds: number): Date => new Date(seconds * 1000 + Math.floor(microseconds / 1000))

const wallText = (date: Date, format: MomentFormat, timeZone: string): string => {
  const { seconds, microseconds } = secondsOf(date)
  const shown = format.zone === 'none' ? wallSecondsOf(timeZone, seconds) : seconds + zoneOffsetMinutes(format.zone) * 60
  return writeMoment({ seconds: shown, microseconds }, format, silent) ?? date.toISOString()
}

const momentInFile = ({ format, timeZone = 'UTC' }: MomentColumn): ColumnCoder => {
  const unit = typeof format === 'string' ? unitMs[format] : undefined
  const written = typeof format === 'object' && format !== null ? format : plainFormat
  return {
    encode: (value) => {
      if (!(value instanceof Date)) return value
      return unit === undefined ? wallText(value, written, timeZone) : BigInt(Math.floor(value.getTime() / unit))
    },
    decode: (value) => {
      if (typeof value === 'number' || typeof value === 'bigint') {
        return unit === undefined ? value : new Date(Math.floor(Number(value) * unit))
      }
      const moment = typeof value === 'string' ? readMoment(value) : undefined
      if (!moment) return value
      const wall = moment.days * 86_400 + moment.secondOfDay
      const seconds = moment.zone === '' ? instantOf(timeZone, wall).seconds : wall - moment.offsetMinutes * 60
      return dateOf(seconds, moment.microseconds)
    },
  }
}

const momentInPostgres = ({ naive = false, timeZone = 'UTC' }: MomentColumn): ColumnCoder => ({
  encode: (value) => {
    if (!(value instanceof Date)) return value
    return naive ? wallText(value, plainFormat, timeZone) : value.toISOString()
  },
  decode: (value) => {
    const moment = typeof value === 'string' ? readPostgresMoment(value.replace('T', ' ').replace(/Z$/, '+00')) : undefined
    if (!moment) return value
    return dateOf(naive ? instantOf(timeZone, moment.seconds).seconds : moment.seconds, moment.microseconds)
  },
})

const asIs: ColumnCoder = { encode: (value) => value, decode: (value) => value }

const booleanInFile = ([yes, no]: readonly [string | number, string | number]): ColumnCoder => ({
  encode: (value) => (typeof value === 'boolean' ? (value ? yes : no) : value),
  decode: (value) => {
    if (String(value) === String(yes)) return true
    return String(value) === String(no) ? false : value
  },
})

const json: ColumnCoder = {
  encode: (value) => JSON.stringify(value),
  decode: (value) => (typeof value === 'string' ? JSON.parse(value) : value),
}

const trimZeros = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)

const dashed = (text: string): string =>
  text.toLowerCase().replace(/^([\da-f]{8})([\da-f]{4})([\da-f]{4})([\da-f]{4})([\da-f]{12})$/, '$1-$2-$3-$4-$5')

/** The coder of a column in one of the stores. */
export const createCoder = (column: ColumnValue, store: StoreKind): ColumnCoder => {
  const isFile = store === 'sqlite'
  switch (column.kind) {
    case 'boolean':
      return isFile ? booleanInFile(column.forms ?? [1, 0]) : asIs
    case 'moment':
      return isFile ? momentInFile(column) : momentInPostgres(column)
    case 'json':
      return json
    case 'bigint':
      return {
        encode: (value) => (typeof value === 'bigint' && !isFile ? String(value) : value),
        decode: (value) => {
          if (value instanceof WrittenNumber) return BigInt(trimZeros(String(value)))
          return typeof value === 'number' || typeof value === 'string' ? BigInt(value) : value
        },
      }
    case 'decimal':
      return { encode: (value) => value, decode: (value) => trimZeros(String(value)) }
    case 'date':
      return { encode: (value) => (value instanceof Date ? value.toISOString().slice(0, 10) : value), decode: (value) => value }
    case 'uuid':
      if (!isFile) return asIs
      return {
        encode: (value) => (typeof value === 'string' && column.dashless ? value.toLowerCase().replaceAll('-', '') : value),
        decode: (value) => (typeof value === 'string' ? dashed(value) : value),
      }
  }
}

/** A value of which no column is known, by what it is. */
export const encodeLoose = (value: unknown, store: StoreKind): unknown => {
  if (value === undefined) return null
  if (value instanceof Date) return store === 'sqlite' ? wallText(value, plainFormat, 'UTC') : value.toISOString()
  if (store === 'postgres') return typeof value === 'bigint' ? String(value) : value
  if (typeof value === 'boolean') return value ? 1 : 0
  // SQLite's binding takes a whole number beyond 32 bits for a real.
  if (typeof value === 'number' && Number.isSafeInteger(value) && (value | 0) !== value) return BigInt(value)
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  return JSON.stringify(value)
}

/** Whole numbers as number while they are safe, as bigint beyond. */
export const decodeInteger = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
