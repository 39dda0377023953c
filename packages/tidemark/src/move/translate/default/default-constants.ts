import type { Affinity } from '../../../sqlite/sqlite.js'
import type { Conversion } from '../../move.js'
import type { ReceivingColumn } from '../expression/coerce.js'
import type { LiteralValue } from '../expression/expression-tree.js'
import { isDate, isTime, readMoment, splitMoment } from '../expression/moments.js'
import { parseNumericText } from '../expression/numeric-text.js'
import { literal, realDigits } from '../expression/operand.js'
import { quoteLiteral } from '../identifiers.js'
import { refuse } from '../refusal.js'

type Stored = Exclude<LiteralValue, null>
type Of<K extends Conversion['kind']> = Extract<Conversion, { kind: K }>

/** A real as SQLite writes it into text, where that needs no more than fifteen digits. */
const realText = (value: number): string => {
  const text = String(value)
  const plain = Math.abs(value) >= 1e-4 && Math.abs(value) < 1e15 && text.replace(/\D/g, '').length <= 15
  if (!plain && value !== 0) return refuse(`the real ${text} is stored as text, whose digits are SQLite's own`)
  return Number.isInteger(value) ? `${text}.0` : text
}

/** What SQLite stores of a constant in a column of this affinity. */
const storedAs = (value: Stored, affinity: Affinity): Stored => {
  if (affinity === 'TEXT')
    return typeof value === 'bigint' ? value.toString() : typeof value === 'number' ? realText(value) : value
  if (affinity === 'BLOB') return value
  const number = typeof value === 'string' ? (parseNumericText(value) ?? value) : value
  if (affinity === 'REAL') return typeof number === 'bigint' ? Number(number) : number
  return typeof number === 'number' && Number.isInteger(number) && Math.abs(number) < 2 ** 51 ? BigInt(number) : number
}

/** The value for people, shortened. */
const shown = (value: Stored): string => {
  if (typeof value === 'string') return `the text '${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`
  return value instanceof Uint8Array ? 'a blob' : typeof value === 'number' ? realDigits(value) : value.toString()
}

const unfit = (value: Stored, targetType: string): never =>
  refuse(
    `the default is ${shown(value)}, which a column of ${targetType} does not take`,
    `Give the column a default of ${targetType}, or none.`,
  )

const integerLimits: Readonly<Record<string, bigint>> = { smallint: 2n ** 15n, integer: 2n ** 31n, bigint: 2n ** 63n }

const integerSql = (value: Stored, targetType: string): string => {
  const limit = integerLimits[targetType] ?? 2n ** 63n
  return typeof value === 'bigint' && value >= -limit && value < limit ? literal(value).sql : unfit(value, targetType)
}

const numericSql = (value: Stored, targetType: string): string => {
  if (typeof value !== 'bigint' && (typeof value !== 'number' || !Number.isFinite(value))) return unfit(value, targetType)
  const digits = typeof value === 'bigint' ? value.toString() : realDigits(value)
  const [, precision, scale = '0'] = /^numeric\((\d+)(?:,\s*(-?\d+))?\)$/.exec(targetType) ?? []
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.')
  const tooLong =
    precision !== undefined &&
    (whole.replace(/^0+/, '').length > Number(precision) - Number(scale) || fraction.length > Number(scale))
  return tooLong || /e/i.test(digits) ? unfit(value, targetType) : digits
}

const textSql = (value: Stored, targetType: string): string => {
  const limit = /^(?:character varying|varchar|character|char)\((\d+)\)$/.exec(targetType)?.[1]
  if (typeof value !== 'string' || (limit !== undefined && [...value].length > Number(limit))) return unfit(value, targetType)
  return quoteLiteral(value)
}

const anyTextSql = (value: Stored, targetType: string): string =>
  value instanceof Uint8Array
    ? unfit(value, targetType)
    : quoteLiteral(typeof value === 'number' ? realText(value) : String(value))

const bytesSql = (value: Stored, targetType: string): string =>
  value instanceof Uint8Array ? literal(value).sql : unfit(value, targetType)

const anyBytesSql = (value: Stored, targetType: string): string =>
  bytesSql(typeof value === 'string' ? Uint8Array.from(Buffer.from(value)) : value, targetType)

const words = { yes: ['1', 'true', 't', 'yes', 'y', 'on'], no: ['0', 'false', 'f', 'no', 'n', 'off'] }

const booleanSql = ({ truthy, falsy }: Of<'boolean'>, value: Stored, targetType: string, notes: Set<string>): string => {
  const form = value instanceof Uint8Array ? '' : String(value)
  if (truthy.includes(form)) return 'TRUE'
  if (falsy.includes(form)) return 'FALSE'
  const isYes = words.yes.includes(form.toLowerCase())
  if (!isYes && !words.no.includes(form.toLowerCase())) return unfit(value, targetType)
  notes.add(`the default ${shown(value)} is no value that stands in the column; it is read as ${isYes ? 'TRUE' : 'FALSE'}`)
  return isYes ? 'TRUE' : 'FALSE'
}

const otherForm = (value: Stored, notes: Set<string>): void => {
  notes.add(`the default ${shown(value)} is written in another form than the column's values`)
}

const timestampSql = ({ format }: Of<'timestamp'>, value: Stored, targetType: string, notes: Set<string>): string => {
  const moment = typeof value === 'string' ? splitMoment(value) : null
  if (!moment || typeof value !== 'string') return unfit(value, targetType)
  if (format && !readMoment(value, format)) otherForm(value, notes)
  return `TIMESTAMP '${moment.date} ${moment.time}'`
}

const zonePattern = /(Z|[+-]\d\d(?::?\d\d)?)$/i

const timestamptzSql = (
  { format, timeZone }: Of<'timestamptz'>,
  value: Stored,
  targetType: string,
  notes: Set<string>,
): string => {
  if (typeof value !== 'string') return unfit(value, targetType)
  const zone = splitMoment(value) ? undefined : zonePattern.exec(value)?.[1]
  const moment = splitMoment(zone === undefined ? value : value.slice(0, -zone.length).trimEnd())
  if (!moment) return unfit(value, targetType)
  if (format && !readMoment(value, format)) otherForm(value, notes)
  const naive = `TIMESTAMP '${moment.date} ${moment.time}'`
  if (zone === undefined) return `(${naive} AT TIME ZONE ${quoteLiteral(timeZone)})`
  return `TIMESTAMPTZ '${moment.date} ${moment.time}${zone.toUpperCase() === 'Z' ? '+00' : zone}'`
}

const epochSql = ({ unit }: Of<'epoch'>, value: Stored, targetType: string): string => {
  if (typeof value !== 'bigint') return unfit(value, targetType)
  const factor = { seconds: '', milliseconds: ' / 1000.0', microseconds: ' / 1000000.0' }[unit]
  return `to_timestamp(${value}${factor})`
}

const uuidSql = ({ form }: Of<'uuid'>, value: Stored, targetType: string): string => {
  const pattern = form === 'dashed' ? /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/ : /^[0-9a-f]{32}$/
  return form !== 'mapped' && typeof value === 'string' && pattern.test(value) ? `'${value}'::uuid` : unfit(value, targetType)
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const jsonSql = (kind: 'json' | 'jsonb', value: Stored, targetType: string): string =>
  typeof value === 'string' && isJson(value) ? `${quoteLiteral(value)}::${kind}` : unfit(value, targetType)

/** A constant default for a column, as SQLite would store it and the move would carry it. */
export const constantSql = (value: LiteralValue, column: ReceivingColumn, notes: Set<string>): string => {
  if (value === null) return 'NULL'
  const { conversion, targetType } = column
  const stored = storedAs(value, column.affinity)
  switch (conversion.kind) {
    case 'integer':
      return integerSql(stored, targetType)
    case 'real':
      return typeof stored === 'number' || typeof stored === 'bigint' ? literal(stored).sql : unfit(stored, targetType)
    case 'numeric':
      return numericSql(stored, targetType)
    case 'text':
      return textSql(stored, targetType)
    case 'bytes':
      return bytesSql(stored, targetType)
    case 'anyText':
      return anyTextSql(stored, targetType)
    case 'anyBytes':
      return anyBytesSql(stored, targetType)
    case 'boolean':
      return booleanSql(conversion, stored, targetType, notes)
    case 'date':
      return typeof stored === 'string' && isDate(stored) ? `DATE '${stored}'` : unfit(stored, targetType)
    case 'time':
      return typeof stored === 'string' && isTime(stored) ? `TIME '${stored}'` : unfit(stored, targetType)
    case 'timestamp':
      return timestampSql(conversion, stored, targetType, notes)
    case 'timestamptz':
      return timestamptzSql(conversion, stored, targetType, notes)
    case 'epoch':
      return epochSql(conversion, stored, targetType)
    case 'uuid':
      return uuidSql(conversion, stored, targetType)
    case 'json':
    case 'jsonb':
      return jsonSql(conversion.kind, stored, targetType)
  }
}
