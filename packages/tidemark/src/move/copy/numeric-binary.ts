/** Decimal numbers in the binary form of Postgres' numeric: groups of four digits, a weight, a sign and a display scale. */
import type { CopyWriter } from './copy-writer.js'

const positive = 0x0000
const negative = 0x4000
const infinite = 0xd000
const infiniteNegative = 0xf000

/** The plain decimal digits of a number: no exponent, no trailing zeros after the point. `-0` is `0`. */
export const plainDecimal = (value: number | bigint): string => {
  const text = String(value)
  const match = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (!match) return text
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return `${sign}${digits}${'0'.repeat(point - digits.length)}`
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

const special = (sign: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16BE(sign, 4)
  return bytes
}

/** The numeric's bytes; `displayScale` is how many digits after the point are shown, at least those that are there. */
export const numericBytes = (value: number | bigint, displayScale = 0): Buffer => {
  if (value === Number.POSITIVE_INFINITY) return special(infinite)
  if (value === Number.NEGATIVE_INFINITY) return special(infiniteNegative)
  const decimal = plainDecimal(value)
  const isNegative = decimal.startsWith('-')
  const [whole = '0', fraction = ''] = (isNegative ? decimal.slice(1) : decimal).split('.')
  const left = whole.padStart(Math.ceil(whole.length / 4) * 4, '0')
  const right = fraction.padEnd(Math.ceil(fraction.length / 4) * 4, '0')
  const groups: number[] = []
  for (let at = 0; at < left.length; at += 4) groups.push(Number(left.slice(at, at + 4)))
  let weight = groups.length - 1
  for (let at = 0; at < right.length; at += 4) groups.push(Number(right.slice(at, at + 4)))
  while (groups.length > 0 && groups[0] === 0) {
    groups.shift()
    weight--
  }
  while (groups.length > 0 && groups.at(-1) === 0) groups.pop()
  const bytes = Buffer.alloc(8 + groups.length * 2)
  bytes.writeInt16BE(groups.length, 0)
  bytes.writeInt16BE(groups.length === 0 ? 0 : weight, 2)
  bytes.writeUInt16BE(isNegative && groups.length > 0 ? negative : positive, 4)
  bytes.writeUInt16BE(Math.max(fraction.length, displayScale), 6)
  groups.forEach((group, i) => {
    bytes.writeInt16BE(group, 8 + i * 2)
  })
  return bytes
}

/** Digits shown after the point by a fraction of four decimal places. */
const shownDigits = (fraction: number): number =>
  fraction === 0 ? 0 : fraction % 10 !== 0 ? 4 : fraction % 100 !== 0 ? 3 : fraction % 1000 !== 0 ? 2 : 1

/** Writes a number as numeric; those below 10^8 with at most four decimal places, which is most of them, by plain arithmetic. */
export const writeNumeric = (writer: CopyWriter, value: number | bigint): void => {
  if (typeof value === 'number' && value < 1e8 && value > -1e8) {
    const scaled = Math.round(Math.abs(value) * 10_000)
    if (scaled / 10_000 === Math.abs(value)) {
      const whole = Math.floor(scaled / 10_000)
      const fraction = scaled % 10_000
      writer.numeric(value < 0, Math.floor(whole / 10_000), whole % 10_000, fraction, shownDigits(fraction))
      return
    }
  }
  writer.bytes(numericBytes(value))
}
