import { refuse } from '../refusal.js'
import { decimalNote } from './arithmetic.js'
import {
  asBigint,
  asDouble,
  booleanToInteger,
  cast,
  describeKind,
  isIntegerType,
  isNumeric,
  literal,
  type Operand,
  type PgType,
} from './operand.js'

const numberType = (operands: readonly Operand[]): PgType => {
  if (operands.every((o) => o.pg === 'boolean')) return 'boolean'
  if (operands.every((o) => o.kind === 'integer' && (isIntegerType(o.pg) || o.pg === 'boolean')))
    return operands.every((o) => o.pg === 'integer' || o.pg === 'smallint' || o.pg === 'boolean') ? 'integer' : 'bigint'
  return operands.every((o) => o.pg === 'numeric' && o.literal === undefined) ? 'numeric' : 'double precision'
}

const toType = (o: Operand, pg: PgType): Operand => {
  if (o.kind === 'null' || o.pg === pg) return o
  if (pg === 'bigint') return isIntegerType(o.pg) ? o : asBigint(o)
  if (pg === 'integer') return booleanToInteger(o)
  return pg === 'double precision' ? asDouble(o) : cast(o, pg)
}

/**
 * Results of which one is chosen at run time, brought to one type. SQLite would keep each one's class; Postgres has one type for all, so
 * mixtures other than of numbers have no counterpart.
 */
export const unify = (
  operands: readonly Operand[],
  what: string,
  notes: Set<string>,
): { readonly operands: readonly Operand[]; readonly shape: Operand } => {
  const known = operands.filter((o) => o.kind !== 'null')
  const [first] = known
  // A NULL of another type would not fit beside the others.
  const plain = operands.map((o) => (o.kind === 'null' ? literal(null) : o))
  if (!first) return { operands: plain, shape: literal(null) }
  if (known.every(isNumeric)) {
    const pg = numberType(known)
    const kinds = new Set(known.map((o) => o.kind))
    const kind = kinds.size === 1 ? first.kind : 'number'
    if (pg === 'double precision' && kind === 'number') notes.add(decimalNote)
    const brought = plain.map((o) => toType(o, pg))
    return { operands: brought, shape: { ...(brought.find((o) => o.kind !== 'null') as Operand), kind, pg } }
  }
  const odd = known.find((o) => o.kind !== first.kind)
  if (odd) return refuse(`${what} gives ${describeKind(first.kind)} or ${describeKind(odd.kind)}`)
  return { operands: plain, shape: first }
}
