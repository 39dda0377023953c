import type { Affinity } from '../../../sqlite/sqlite.js'
import { quoteLiteral } from '../identifiers.js'
import { refuse } from '../refusal.js'
import type { ExpressionColumn } from '../translation.js'
import type { LiteralValue } from './expression-tree.js'

/** What class of value SQLite holds here where it is not NULL; `number`: integer or real, row by row. */
export type SqliteKind = 'integer' | 'real' | 'number' | 'text' | 'blob' | 'null'

/** The Postgres type of the SQL. `boolean` stands for SQLite's 1 and 0; `other` is a column that has yet to be put into SQLite's terms. */
export type PgType =
  | 'smallint'
  | 'integer'
  | 'bigint'
  | 'double precision'
  | 'numeric'
  | 'text'
  | 'bytea'
  | 'boolean'
  | 'null'
  | 'other'

export interface Collation {
  readonly name: string
  /** Written with COLLATE, which beats that of a column. */
  readonly explicit: boolean
}

/** A piece of Postgres SQL with what SQLite would know of its value. */
export interface Operand {
  readonly sql: string
  /** True where it needs no parentheses beside any operator. */
  readonly atomic: boolean
  readonly kind: SqliteKind
  readonly pg: PgType
  readonly affinity: Affinity | null
  readonly collation: Collation | null
  /** Whether Postgres takes it in an index and in a generated column. */
  readonly immutable: boolean
  readonly literal?: LiteralValue
  /** A bare column, still in its target's terms. */
  readonly column?: ExpressionColumn
  /** The argument, where this is typeof(…). */
  readonly typeOf?: Operand
  /** Column and path, where this is a value inside JSON. */
  readonly json?: { readonly column: Operand; readonly path: readonly string[] }
  /** Both sides, where this is a plain `left = right`. */
  readonly equality?: { readonly left: string; readonly right: string }
  /** A COLLATE stands somewhere inside. */
  readonly innerCollation?: boolean
  /** Written TRUE or FALSE. */
  readonly truth?: boolean
}

type OperandFacts = Partial<Omit<Operand, 'sql' | 'kind' | 'pg'>>

/** A new operand without affinity and collation, as SQLite sees the result of most operators. */
export const operand = (sql: string, kind: SqliteKind, pg: PgType, facts: OperandFacts = {}): Operand => ({
  sql,
  atomic: false,
  affinity: null,
  collation: null,
  immutable: true,
  ...facts,
  kind,
  pg,
})

/** True where every operand may stand in an index. */
export const allImmutable = (...operands: readonly Operand[]): boolean => operands.every((each) => each.immutable)

export const wrap = (o: Operand): string => (o.atomic ? o.sql : `(${o.sql})`)

/** `name(…)`, which depends on its arguments only. */
export const call = (name: string, args: readonly (Operand | string)[], kind: SqliteKind, pg: PgType): Operand => {
  const operands = args.filter((arg) => typeof arg !== 'string')
  const list = args.map((arg) => (typeof arg === 'string' ? arg : arg.sql)).join(', ')
  return operand(`${name}(${list})`, kind, pg, { atomic: true, immutable: allImmutable(...operands) })
}

/** Shortest decimal digits that give the same double, with all digits of a whole number. */
export const realDigits = (value: number): string =>
  Number.isInteger(value) && Math.abs(value) < 1e21 ? BigInt(value).toString() : String(value)

const realSql = (value: number): string => {
  if (!Number.isFinite(value)) return `'${value > 0 ? '' : '-'}Infinity'::double precision`
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? `${value}.0` : String(value)
}

const integerType = (value: bigint): PgType => (value >= -(2n ** 31n) && value < 2n ** 31n ? 'integer' : 'bigint')

const integerSql = (value: bigint): string => (value === -(2n ** 63n) ? `'${value}'::bigint` : value.toString())

export const literal = (value: LiteralValue, facts: OperandFacts = {}): Operand => {
  if (value === null) return operand('NULL', 'null', 'null', { atomic: true, literal: value, ...facts })
  if (typeof value === 'bigint')
    return operand(integerSql(value), 'integer', integerType(value), { atomic: value >= 0n, literal: value, ...facts })
  if (typeof value === 'number')
    return operand(realSql(value), 'real', 'numeric', { atomic: value >= 0, literal: value, ...facts })
  if (typeof value === 'string') return operand(quoteLiteral(value), 'text', 'text', { atomic: true, literal: value, ...facts })
  const hex = Buffer.from(value).toString('hex')
  return operand(`'\\x${hex}'::bytea`, 'blob', 'bytea', { atomic: true, literal: value, ...facts })
}

export const isLiteral = (o: Operand): o is Operand & { readonly literal: LiteralValue } => o.literal !== undefined

export const isNumeric = (o: Operand): boolean => o.kind === 'integer' || o.kind === 'real' || o.kind === 'number'

/** `x::type`, keeping what is known but the column, the literal and the special forms. */
export const cast = (o: Operand, pg: PgType, kind: SqliteKind = o.kind): Operand => ({
  ...operand(`${wrap(o)}::${pg}`, kind, pg, { atomic: true, immutable: o.immutable }),
})

const nullAs = (pg: PgType): Operand => operand(`NULL::${pg}`, 'null', pg, { atomic: true })

const integers: readonly PgType[] = ['smallint', 'integer', 'bigint']
export const isIntegerType = (pg: PgType): boolean => integers.includes(pg)

/** SQLite's 1 and 0 as a number. */
export const booleanToInteger = (o: Operand): Operand => (o.pg === 'boolean' ? cast(o, 'integer', 'integer') : o)

/** As a 64-bit integer, for arithmetic. Only for operands of kind integer or null. */
export const asBigint = (o: Operand): Operand => {
  if (o.kind === 'null') return nullAs('bigint')
  return o.pg === 'bigint' ? o : cast(o.pg === 'boolean' ? booleanToInteger(o) : o, 'bigint')
}

/** As a double. For any number. */
export const asDouble = (o: Operand): Operand => {
  if (o.kind === 'null') return nullAs('double precision')
  if (typeof o.literal === 'bigint' && BigInt(Number(o.literal)) !== o.literal)
    return refuse(`no double is the number ${o.literal}`)
  return o.pg === 'double precision' ? o : cast(booleanToInteger(o), 'double precision')
}

/** As text, where SQLite's digits are Postgres' digits: integers and text. */
export const asText = (o: Operand, purpose: string): Operand => {
  if (o.kind === 'null') return nullAs('text')
  if (o.kind === 'text') return o
  if (typeof o.literal === 'bigint') return literal(o.literal.toString())
  if (o.kind === 'integer') return cast(booleanToInteger(o), 'text', 'text')
  return refuse(`${purpose} turns ${describeKind(o.kind)} into text, which SQLite writes otherwise than Postgres`)
}

export const describeKind = (kind: SqliteKind): string =>
  ({ integer: 'an integer', real: 'a real', number: 'a number', text: 'text', blob: 'a blob', null: 'NULL' })[kind]

/** SQLite's truth of a value, as a Postgres boolean. */
export const asBoolean = (o: Operand): Operand => {
  if (o.pg === 'boolean') return o
  if (o.kind === 'null') return nullAs('boolean')
  if (typeof o.literal === 'bigint' || typeof o.literal === 'number')
    return operand(Number(o.literal) === 0 ? 'FALSE' : 'TRUE', 'integer', 'boolean', { atomic: true })
  if (isNumeric(o)) return operand(`${wrap(o)} <> 0`, 'integer', 'boolean', { immutable: o.immutable })
  return refuse(`${describeKind(o.kind)} stands where a truth value is asked; SQLite reads the number at its beginning`)
}

export const boolean = (sql: string, immutable: boolean, atomic = false): Operand =>
  operand(sql, 'integer', 'boolean', { immutable, atomic })
