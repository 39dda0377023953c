import type { Affinity } from '../../../sqlite/sqlite.js'
import { refuse } from '../refusal.js'
import { asDouble, asText, booleanToInteger, cast, describeKind, isNumeric, literal, type Operand, operand } from './operand.js'

type Cast = (o: Operand, notes: Set<string>) => Operand

const toInteger: Cast = (o, notes) => {
  if (o.kind === 'integer') return booleanToInteger(o)
  if (typeof o.literal === 'string' && /^-?\d{1,18}$/.test(o.literal)) return literal(BigInt(o.literal))
  if (!isNumeric(o)) return refuse(`${describeKind(o.kind)} is cast to an integer; SQLite reads the number at its beginning`)
  notes.add('a real beyond 64 bits is an error when it is cast to an integer, where SQLite takes the nearest integer there is')
  return operand(`trunc(${o.sql})::bigint`, 'integer', 'bigint', { atomic: true, immutable: o.immutable })
}

const toReal: Cast = (o) => {
  if (typeof o.literal === 'bigint') return literal(Number(o.literal))
  return isNumeric(o)
    ? { ...asDouble(o), kind: 'real' }
    : refuse(`${describeKind(o.kind)} is cast to a real; SQLite reads the number at its beginning`)
}

const toNumeric: Cast = (o) =>
  o.kind === 'integer'
    ? booleanToInteger(o)
    : refuse(`${describeKind(o.kind)} is cast to NUMERIC, whose class depends on the value`)

const toBlob: Cast = (o) => {
  if (o.kind === 'blob') return o
  if (o.kind !== 'text') return refuse(`${describeKind(o.kind)} is cast to a blob`)
  return operand(`convert_to(${o.sql}, 'UTF8')`, 'blob', 'bytea', { atomic: true, immutable: false })
}

const casts: Readonly<Record<Affinity, Cast>> = {
  INTEGER: toInteger,
  REAL: toReal,
  NUMERIC: toNumeric,
  TEXT: (o) => asText(o, 'CAST'),
  BLOB: toBlob,
}

const nulls: Readonly<Record<Affinity, Operand['pg']>> = {
  INTEGER: 'bigint',
  REAL: 'double precision',
  NUMERIC: 'bigint',
  TEXT: 'text',
  BLOB: 'bytea',
}

/** `CAST(o AS …)` for an operand in source form. The result has the affinity of its type and keeps the collation of a column. */
export const castTo = (affinity: Affinity, o: Operand, notes: Set<string>): Operand => {
  const result = o.kind === 'null' ? { ...cast(o, nulls[affinity], 'null') } : casts[affinity](o, notes)
  return { ...result, affinity, collation: o.collation }
}
