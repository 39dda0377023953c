import { type CellAccess, describe, type Encode, type SqliteValue } from './encode.js'
import { writeNumeric } from './numeric-binary.js'

/** Whole numbers as SQLite holds them: a double that may have been rounded on the way is read again. */
export const exactInteger = (value: SqliteValue, cell: CellAccess): number | bigint | undefined => {
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
export const exactNumber = (value: SqliteValue, cell: CellAccess): number | bigint | undefined => {
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

export const numeric: Encode = (writer, value, cell) => {
  const exact = exactNumber(value, cell)
  if (exact === undefined) return `${describe(value)} in a column of numbers`
  writeNumeric(writer, exact)
  return undefined
}

/** A number as SQLite would print it: whole numbers as digits, reals with a point. */
export const numberAsText = (value: number | bigint): string => {
  const printed = String(value)
  return typeof value === 'bigint' || !Number.isFinite(value) || /[.e]/.test(printed) ? printed : `${printed}.0`
}

/** By the base type of the column. */
export const wholeNumber: Readonly<Record<string, Encode>> = {
  smallint: narrowInteger(16),
  integer: narrowInteger(32),
  bigint: integer64,
  numeric,
  'double precision': float64,
  real: float32,
}
