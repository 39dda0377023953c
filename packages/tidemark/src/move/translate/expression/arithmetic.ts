import { refuse } from '../refusal.js'
import {
  allImmutable,
  asBigint,
  asDouble,
  asText,
  booleanToInteger,
  describeKind,
  isLiteral,
  isNumeric,
  literal,
  type Operand,
  operand,
  wrap,
} from './operand.js'

export const overflowNote = 'a result beyond 64 bits is an error in Postgres, where SQLite goes on with a real'
const rangeNote = 'a real beyond the range of a double is an error in Postgres, where SQLite goes on with infinity or zero'
export const decimalNote = 'whole numbers beyond 2^53 are calculated as doubles'

const mustBeNumber = (o: Operand, operator: string): Operand =>
  isNumeric(o) || o.kind === 'null'
    ? o
    : refuse(`${operator} is applied to ${describeKind(o.kind)}; SQLite reads the number at its beginning`)

/** A divisor of zero gives NULL in SQLite and an error in Postgres. */
const divisor = (o: Operand): string => {
  if (isLiteral(o) && Number(o.literal) !== 0) return wrap(o)
  return `NULLIF(${o.sql}, 0)`
}

const integerResult = (left: Operand, operator: string, right: Operand, notes: Set<string>): Operand => {
  // Either side as 64 bits makes the operation one of 64 bits; a constant says less when it is left plain.
  const [a, b] =
    right.pg === 'bigint' && !isLiteral(right) ? [booleanToInteger(left), right] : [asBigint(left), booleanToInteger(right)]
  // Only -2^63 / -1 leaves the range by division.
  if (operator !== '%' && !(operator === '/' && isLiteral(right) && right.literal !== -1n)) notes.add(overflowNote)
  const zeroSafe = operator === '/' || operator === '%' ? divisor(b) : wrap(b)
  return operand(`${wrap(a)} ${operator} ${zeroSafe}`, 'integer', 'bigint', { immutable: allImmutable(a, b) })
}

const mayBeInfinite = (o: Operand): boolean => !(isLiteral(o) && Number.isFinite(Number(o.literal)))

/** Infinity beside infinity, or zero times it, is NaN, which SQLite turns into NULL. */
const mayBeNaN = (left: Operand, operator: string, right: Operand): boolean => {
  if (operator === '/' || operator === '*') return mayBeInfinite(left) || mayBeInfinite(right)
  return mayBeInfinite(left) && mayBeInfinite(right)
}

const realResult = (left: Operand, operator: string, right: Operand, notes: Set<string>): Operand => {
  const kind = left.kind === 'real' || right.kind === 'real' ? 'real' : 'number'
  if (kind === 'number' && operator === '/')
    return refuse('a number is divided that may be whole or not; SQLite drops the rest of whole ones')
  if (operator === '%') return refuse('% is applied to a real; SQLite drops its fraction first')
  if (left.kind !== 'real' || right.kind !== 'real') notes.add(decimalNote)
  notes.add(rangeNote)
  const [a, b] = [asDouble(left), asDouble(right)]
  const zeroSafe = operator === '/' ? divisor(isLiteral(right) ? { ...b, literal: right.literal } : b) : wrap(b)
  const immutable = allImmutable(a, b)
  const sql = `${wrap(a)} ${operator} ${zeroSafe}`
  if (!mayBeNaN(left, operator, right)) return operand(sql, kind, 'double precision', { immutable })
  return operand(`NULLIF(${sql}, 'NaN')`, kind, 'double precision', { atomic: true, immutable })
}

/** `+ - * / %` of two operands in source form. */
export const calculate = (operator: '+' | '-' | '*' | '/' | '%', left: Operand, right: Operand, notes: Set<string>): Operand => {
  mustBeNumber(left, operator)
  mustBeNumber(right, operator)
  if (left.kind === 'null' || right.kind === 'null') return operand('NULL::bigint', 'null', 'bigint', { atomic: true })
  return left.kind === 'integer' && right.kind === 'integer'
    ? integerResult(left, operator, right, notes)
    : realResult(left, operator, right, notes)
}

const mustBeInteger = (o: Operand, operator: string): Operand =>
  o.kind === 'integer' || o.kind === 'null' ? o : refuse(`${operator} is applied to ${describeKind(o.kind)}`)

/** `& | << >>` of two operands in source form. */
export const combineBits = (operator: '&' | '|' | '<<' | '>>', left: Operand, right: Operand): Operand => {
  mustBeInteger(left, operator)
  mustBeInteger(right, operator)
  if (left.kind === 'null' || right.kind === 'null') return operand('NULL::bigint', 'null', 'bigint', { atomic: true })
  const immutable = allImmutable(left, right)
  if (operator === '&' || operator === '|')
    return operand(`${wrap(asBigint(left))} ${operator} ${wrap(asBigint(right))}`, 'integer', 'bigint', { immutable })
  const width = right.literal
  if (typeof width !== 'bigint' || width < 0n || width > 63n)
    return refuse(`${operator} has a width that is computed or beyond 63 bits`)
  return operand(`${wrap(asBigint(left))} ${operator} ${width}`, 'integer', 'bigint', { immutable })
}

/** `- + ~` before an operand in source form. */
export const applySign = (operator: '-' | '~', o: Operand, notes: Set<string>): Operand => {
  mustBeNumber(o, operator)
  if (o.kind === 'null') return operand('NULL::bigint', 'null', 'bigint', { atomic: true })
  if (operator === '~') {
    const bits = asBigint(mustBeInteger(o, '~'))
    return operand(`~ ${wrap(bits)}`, 'integer', 'bigint', { immutable: o.immutable })
  }
  if (typeof o.literal === 'bigint') return o.literal === -(2n ** 63n) ? literal(2 ** 63) : literal(-o.literal)
  if (typeof o.literal === 'number') return literal(-o.literal)
  if (o.kind === 'integer') {
    notes.add(overflowNote)
    return operand(`- ${wrap(asBigint(o))}`, 'integer', 'bigint', { immutable: o.immutable })
  }
  return operand(`- ${wrap(o)}`, o.kind, o.pg, { immutable: o.immutable })
}

/** `||` of two operands in source form. */
export const concatenate = (left: Operand, right: Operand): Operand => {
  for (const o of [left, right]) if (o.kind === 'blob') refuse('|| is applied to a blob')
  if (left.kind === 'null' || right.kind === 'null') return operand('NULL::text', 'null', 'text', { atomic: true })
  const [a, b] = [asText(left, '||'), asText(right, '||')]
  if (typeof a.literal === 'string' && typeof b.literal === 'string') return literal(a.literal + b.literal)
  return operand(`${wrap(a)} || ${wrap(b)}`, 'text', 'text', { immutable: allImmutable(a, b) })
}
