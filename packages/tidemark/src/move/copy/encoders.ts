/** For each conversion, how one value is written into the COPY block. An encoder answers nothing, or why it could not. */
import { createHash } from 'node:crypto'
import type { StorageClass } from '../../sqlite/sqlite.js'
import { keepsFormat, keepsFraction, readDate, readMoment, readTime } from '../moments.js'
import type { ColumnPlan, ColumnPolicies, Conversion } from '../move.js'
import { instantOf } from '../time-zones.js'
import type { CopyWriter } from './copy-writer.js'
import { limitOf } from './limits.js'
import { writeNumeric } from './numeric-binary.js'

export type SqliteValue = number | bigint | string | Buffer

/** The value under the hand, read again with nothing lost: 64-bit integers as bigint, text also as the bytes in the file. */
export interface ExactCell {
  readonly storage: StorageClass
  readonly value: SqliteValue | null
  readonly raw: Buffer
}

export interface CellAccess {
  /** Reads the cell again, slowly and exactly. */
  exact(): ExactCell
  /** Tells that a value was not kept as it is, though its row is. */
  replaced(reason: string): void
}

/** Writes one non-null value; answers the reason where it cannot, and then has written nothing. */
export type Encode = (writer: CopyWriter, value: SqliteValue, cell: CellAccess) => string | undefined

/** Days and seconds from 1970-01-01 to Postgres' epoch, 2000-01-01. */
const epochDays = 10_957
const epochSeconds = epochDays * 86_400

const describe = (value: SqliteValue): string =>
  typeof value === 'string' ? 'text' : Buffer.isBuffer(value) ? 'a blob' : 'a number'

const isUtf8 = (bytes: Buffer): boolean => {
  try {
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

/** Whole numbers as SQLite holds them: a double that may have been rounded on the way is read again. */
const exactInteger = (value: SqliteValue, cell: CellAccess): number | bigint | undefined => {
  if (typeof value === 'bigint') return value
  if (typeof value !== 'number') return undefined
  if (Number.isSafeInteger(value)) return value
  const { value: exact } = cell.exact()
  return typeof exact === 'bigint' ? exact : undefined
}

const integer64: Encode = (writer, value, cell) => {
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    writer.int64(value)
    return undefined
  }
  const exact = exactInteger(value, cell)
  if (exact === undefined) return `${describe(value)} in a column of whole numbers`
  writer.bigint64(BigInt(exact))
  return undefined
}

const narrowInteger =
  (bits: 16 | 32): Encode =>
  (writer, value, cell) => {
    const exact = exactInteger(value, cell)
    if (exact === undefined) return `${describe(value)} in a column of whole numbers`
    const limit = 2 ** (bits - 1)
    if (exact >= limit || exact < -limit) return `${exact} does not fit into ${bits} bits`
    if (bits === 16) writer.int16(Number(exact))
    else writer.int32(Number(exact))
    return undefined
  }

/** A number as SQLite holds it: a double that looks whole and is too large for one may stand for a whole number that was rounded. */
const exactNumber = (value: SqliteValue, cell: CellAccess): number | bigint | undefined => {
  if (typeof value === 'bigint') return value
  if (typeof value !== 'number') return undefined
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value
  const { value: exact } = cell.exact()
  return typeof exact === 'bigint' || typeof exact === 'number' ? exact : value
}

const float64: Encode = (writer, value, cell) => {
  const exact = exactNumber(value, cell)
  if (exact === undefined) return `${describe(value)} in a column of numbers`
  if (typeof exact === 'bigint' && BigInt(Number(exact)) !== exact) return `${exact} is not exact as a double`
  writer.float64(Number(exact))
  return undefined
}

const float32: Encode = (writer, value, cell) => {
  const exact = exactNumber(value, cell)
  if (exact === undefined) return `${describe(value)} in a column of numbers`
  const number = Number(exact)
  if (Math.fround(number) !== number || (typeof exact === 'bigint' && BigInt(number) !== exact))
    return `${exact} is not exact in four bytes`
  writer.float32(number)
  return undefined
}

const numeric: Encode = (writer, value, cell) => {
  const exact = exactNumber(value, cell)
  if (exact === undefined) return `${describe(value)} in a column of numbers`
  writeNumeric(writer, exact)
  return undefined
}

/** Puts a text right by the policies, or says why it cannot be. */
const settleText = (
  value: string,
  raw: Buffer,
  policies: ColumnPolicies,
): { readonly text: string; readonly reason: string } | string => {
  let text = value
  let reason = ''
  if (text.includes('\uFFFD') && !isUtf8(raw)) {
    if (policies.invalidUtf8 === 'reject' || policies.invalidUtf8 === 'null') return 'the text is not valid UTF-8'
    reason = 'the text is not valid UTF-8'
    text = policies.invalidUtf8 === 'latin1' ? raw.toString('latin1') : text
  }
  if (text.includes('\0')) {
    if (policies.nulBytes === 'reject' || policies.nulBytes === 'null') return 'the text holds a NUL byte'
    reason = reason ? `${reason}, and holds a NUL byte` : 'the text holds a NUL byte'
    text = text.replaceAll('\0', policies.nulBytes === 'strip' ? '' : '\u2400')
  }
  return { text, reason }
}

/** Writes a text that the fast path was in doubt about. */
const doubtfulText = (writer: CopyWriter, cell: CellAccess, policies: ColumnPolicies, prefix: number): string | undefined => {
  const { raw, value } = cell.exact()
  const settled = settleText(String(value), raw, policies)
  if (typeof settled === 'string') return settled
  if (settled.reason !== '') cell.replaced(settled.reason)
  writer.bytes(Buffer.concat([Buffer.alloc(prefix, 1), Buffer.from(settled.text, 'utf8')]))
  return undefined
}

const writeText = (
  writer: CopyWriter,
  text: string,
  cell: CellAccess,
  policies: ColumnPolicies,
  prefix = 0,
): string | undefined => (writer.text(text, prefix) === undefined ? undefined : doubtfulText(writer, cell, policies, prefix))

const text =
  (policies: ColumnPolicies): Encode =>
  (writer, value, cell) =>
    typeof value === 'string' ? writeText(writer, value, cell, policies) : `${describe(value)} in a column of text`

/** A number as SQLite would print it: whole numbers as digits, reals with a point. */
export const numberAsText = (value: number | bigint): string => {
  const printed = String(value)
  return typeof value === 'bigint' || !Number.isFinite(value) || /[.e]/.test(printed) ? printed : `${printed}.0`
}

const anyText =
  (policies: ColumnPolicies): Encode =>
  (writer, value, cell) => {
    if (typeof value === 'string') return writeText(writer, value, cell, policies)
    const exact = cell.exact()
    if (typeof exact.value === 'bigint' || typeof exact.value === 'number') {
      writer.text(numberAsText(exact.value))
      return undefined
    }
    if (!isUtf8(exact.raw)) return 'a blob that is not text, in a column of text'
    return writer.text(exact.raw.toString('utf8')) === 'nul' ? 'a blob that holds a NUL byte, in a column of text' : undefined
  }

const bytes: Encode = (writer, value) => {
  if (!Buffer.isBuffer(value)) return `${describe(value)} in a column of bytes`
  writer.bytes(value)
  return undefined
}

const anyBytes: Encode = (writer, value, cell) => {
  if (Buffer.isBuffer(value)) {
    writer.bytes(value)
    return undefined
  }
  const exact = cell.exact()
  const isNumber = typeof exact.value === 'bigint' || typeof exact.value === 'number'
  writer.bytes(isNumber ? Buffer.from(numberAsText(exact.value as number | bigint)) : exact.raw)
  return undefined
}

const boolean = ({ truthy, falsy }: Extract<Conversion, { kind: 'boolean' }>): Encode => {
  const forms = new Map<string, boolean>([
    ...truthy.map((form) => [form, true] as const),
    ...falsy.map((form) => [form, false] as const),
  ])
  return (writer, value) => {
    const known = Buffer.isBuffer(value) ? undefined : forms.get(String(value))
    if (known === undefined) return `${describe(value)} that is none of ${[...forms.keys()].join(', ')}`
    writer.boolean(known)
    return undefined
  }
}

const date: Encode = (writer, value) => {
  const days = typeof value === 'string' && value.length === 10 ? readDate(value) : Number.NaN
  if (Number.isNaN(days)) return `${describe(value)} that is no date of the form YYYY-MM-DD`
  writer.int32(days - epochDays)
  return undefined
}

const time =
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

const timestamp =
  ({ format }: Extract<Conversion, { kind: 'timestamp' }>): Encode =>
  (writer, value) => {
    const moment = typeof value === 'string' ? readMoment(value) : undefined
    const keeps = moment && (format ? keepsFormat(moment, format) : moment.zone === '')
    if (!keeps) return `${describe(value)} that is no time in the column's format`
    writeMicroseconds(writer, moment.days * 86_400 + moment.secondOfDay, moment.microseconds)
    return undefined
  }

const timestamptz =
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

const epoch =
  ({ unit }: Extract<Conversion, { kind: 'epoch' }>): Encode =>
  (writer, value, cell) => {
    const exact = exactInteger(value, cell)
    if (exact === undefined) return `${describe(value)} in a column of ${unit} since 1970`
    const micros = BigInt(exact) * microsecondsPer[unit]
    if (micros < earliest || micros >= beyondLatest) return `${exact} ${unit} since 1970 is no time that Postgres can hold`
    writer.bigint64(micros - BigInt(epochSeconds) * 1_000_000n)
    return undefined
  }

const hexPattern = /^[0-9a-fA-F]{32}$/
const dashedPattern = /^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$/

/** The uuid of version 5 (RFC 9562) of a name in a namespace, both as bytes. */
const uuidOfName = (namespace: string, name: string): Buffer => {
  const digest = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
    .subarray(0, 16)
  digest[6] = (digest[6]! & 0x0f) | 0x50
  digest[8] = (digest[8]! & 0x3f) | 0x80
  return digest
}

/** Called for each id that had to be given a uuid, so that the map can be kept in its table. */
export type MapId = (namespace: string, legacyId: string, uuid: Buffer) => void

const uuid =
  ({ form, namespace }: Extract<Conversion, { kind: 'uuid' }>, mapId: MapId): Encode =>
  (writer, value, cell) => {
    const number = form === 'mapped' ? exactNumber(value, cell) : undefined
    const written = typeof value === 'string' ? value : number === undefined ? undefined : String(number)
    if (written === undefined) return `${describe(value)} in a column of identifiers`
    const isDashed = dashedPattern.test(written)
    if ((form === 'dashed' && isDashed) || (form === 'dashless' && hexPattern.test(written))) {
      writer.bytes(Buffer.from(written.replaceAll('-', ''), 'hex'))
      return undefined
    }
    if (form !== 'mapped') return `text that is no uuid of the ${form} form`
    // The map keeps the identifier as text, and two that look alike in it would become one.
    if (written.includes('\0') || (written.includes('\uFFFD') && !isUtf8(cell.exact().raw)))
      return 'an identifier that no text of Postgres can hold'
    const plain = /^[0-9a-f-]+$/.test(written) && isDashed
    const id = plain ? Buffer.from(written.replaceAll('-', ''), 'hex') : uuidOfName(namespace, written)
    if (!plain) mapId(namespace, written, id)
    writer.bytes(id)
    return undefined
  }

const isJson = (value: string): boolean => {
  try {
    JSON.parse(value)
    return true
  } catch {
    return false
  }
}

/** True where a JSON text escapes a NUL or half a surrogate pair, which jsonb turns down; an escaped backslash begins nothing. */
const hasUnholdableEscape = (value: string): boolean => {
  let openPair = false
  for (const [unit, digits] of value.matchAll(/\\(?:u([\da-f]{4})|.)|[^\\]/gisu)) {
    const code = digits === undefined || unit[0] !== '\\' ? -1 : Number.parseInt(digits, 16)
    const isLow = code >= 0xdc00 && code <= 0xdfff
    if (code === 0 || isLow !== openPair) return true
    openPair = code >= 0xd800 && code <= 0xdbff
  }
  return openPair
}

const json =
  (policies: ColumnPolicies, prefix: 0 | 1): Encode =>
  (writer, value, cell) => {
    const written =
      typeof value === 'string' ? value : Buffer.isBuffer(value) ? undefined : numberAsText(cell.exact().value as number)
    if (written === undefined || !isJson(written)) return 'not valid JSON'
    if (prefix === 1 && /\\u(?:0000|d[89a-f])/i.test(written) && hasUnholdableEscape(written))
      return 'JSON with an escape that jsonb cannot hold'
    return writeText(writer, written, cell, policies, prefix)
  }

/** The base types whose binary form is known here, under the names of `format_type` without their modifiers. */
export const binaryTypes: ReadonlySet<string> = new Set([
  'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric', 'text', 'character varying', 'character', 'citext', 'name',
  'bytea', 'boolean', 'date', 'time without time zone', 'timestamp without time zone', 'timestamp with time zone', 'uuid', 'json', 'jsonb',
]) // biome-ignore format: one line reads better

const wholeNumber: Readonly<Record<string, Encode>> = {
  smallint: narrowInteger(16),
  integer: narrowInteger(32),
  bigint: integer64,
  numeric,
  'double precision': float64,
  real: float32,
}

/** `format_type` without its modifier: `numeric(10,2)` is `numeric`, `timestamp(3) with time zone` is `timestamp with time zone`. */
export const baseTypeOf = (type: string): string =>
  type
    .replace(/\([^)]*\)/, '')
    .replace(/\s+/g, ' ')
    .trim()

const encoderOf = ({ conversion, policies, targetType }: ColumnPlan, mapId: MapId): Encode => {
  switch (conversion.kind) {
    case 'integer':
    case 'real':
    case 'numeric':
      return wholeNumber[baseTypeOf(targetType)] ?? numeric
    case 'text':
      return text(policies)
    case 'anyText':
      return anyText(policies)
    case 'bytes':
      return bytes
    case 'anyBytes':
      return anyBytes
    case 'boolean':
      return boolean(conversion)
    case 'date':
      return date
    case 'time':
      return time(conversion)
    case 'timestamp':
      return timestamp(conversion)
    case 'timestamptz':
      return timestamptz(conversion)
    case 'epoch':
      return epoch(conversion)
    case 'uuid':
      return uuid(conversion, mapId)
    case 'json':
      return json(policies, 0)
    case 'jsonb':
      return json(policies, 1)
  }
}

/** The encoder of one column. */
export const createEncoder = (column: ColumnPlan, mapId: MapId): Encode => {
  const encode = encoderOf(column, mapId)
  const limit = limitOf(column)
  return limit ? (writer, value, cell) => limit(value) ?? encode(writer, value, cell) : encode
}
