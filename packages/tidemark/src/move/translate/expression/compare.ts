import { foldAscii } from '../../../sqlite/tokenize.js'
import { refuse } from '../refusal.js'
import { compareInTargetTerms } from './compare-columns.js'
import { pair } from './comparison-words.js'
import type { ComparisonOperator } from './expression-tree.js'
import { compareJson } from './json-values.js'
import { parseNumericText } from './numeric-text.js'
import {
  asText,
  boolean,
  booleanToInteger,
  type Collation,
  describeKind,
  isLiteral,
  isNumeric,
  literal,
  type Operand,
  realDigits,
  wrap,
} from './operand.js'
import { inSourceForm } from './source-form.js'

/** Two operands that Postgres compares as SQLite would, and the operator between them. */
export interface Comparison {
  readonly left: Operand
  readonly right: Operand
}

export interface CompareContext {
  readonly notes: Set<string>
  readonly utf16: boolean
}

const isNumericAffinity = (o: Operand): boolean => o.affinity === 'INTEGER' || o.affinity === 'REAL' || o.affinity === 'NUMERIC'

const isOrder = (operator: ComparisonOperator): boolean => ['<', '<=', '>', '>='].includes(operator)

/** Text that SQLite would read as a number beside a numeric column; what it cannot read stays text. */
const withNumericAffinity = (o: Operand): Operand => {
  if (o.kind !== 'text' || isNumericAffinity(o)) return o
  if (typeof o.literal !== 'string')
    return refuse('text is compared with a number, and SQLite looks at each value to see whether it is one')
  const number = parseNumericText(o.literal)
  return number === null ? o : literal(number)
}

const withTextAffinity = (o: Operand, other: Operand): Operand =>
  o.kind !== 'text' && o.kind !== 'blob' && o.kind !== 'null' && other.kind === 'text' ? asText(o, 'the comparison with text') : o

/** What SQLite does to both sides before it compares, by their affinities. */
const applyAffinity = (left: Operand, right: Operand): Comparison => {
  if (isNumericAffinity(left) || isNumericAffinity(right))
    return { left: withNumericAffinity(left), right: withNumericAffinity(right) }
  const oneIsText = (left.affinity === 'TEXT' && right.affinity === null) || (right.affinity === 'TEXT' && left.affinity === null)
  return oneIsText ? { left: withTextAffinity(left, right), right: withTextAffinity(right, left) } : { left, right }
}

/** The collation of a comparison: a written one first, then that of a column, the left before the right. */
const collationOf = (left: Operand, right: Operand): string => {
  const pick = (test: (collation: Collation) => boolean) =>
    [left, right].find((o) => o.collation && test(o.collation))?.collation?.name
  return pick((collation) => collation.explicit) ?? pick(() => true) ?? 'BINARY'
}

const folded = (o: Operand): Operand =>
  typeof o.literal === 'string'
    ? literal(foldAscii(o.literal))
    : { ...o, sql: `lower(${wrap(o)} COLLATE "C")`, atomic: true, collation: null }

const trimmed = (o: Operand): Operand =>
  typeof o.literal === 'string'
    ? literal(o.literal.replace(/ +$/, ''))
    : { ...o, sql: `rtrim(${o.sql}, ' ')`, atomic: true, collation: null }

const bytewise = (o: Operand): Operand => ({ ...o, sql: `${wrap(o)} COLLATE "C"`, atomic: false })

/** Text as Postgres has to look at it to find the same order and the same equalities as `collation`. */
export const collated = (o: Operand, collation: string, ordered: boolean): Operand => {
  const name = collation.toUpperCase()
  if (o.kind === 'null') return o
  if (name === 'NOCASE') return folded(o)
  if (name !== 'BINARY' && name !== 'RTRIM') return refuse(`the collation ${collation} belongs to the application`)
  const plain = name === 'RTRIM' ? trimmed(o) : o
  return ordered ? bytewise(plain) : plain
}

const textComparison = (left: Operand, right: Operand, ordered: boolean, context: CompareContext): Comparison => {
  if (ordered && context.utf16) return refuse('the file is UTF-16, which orders text otherwise')
  const collation = collationOf(left, right)
  if (ordered && isLiteral(left) && isLiteral(right))
    return { left: bytewise(collated(left, collation, false)), right: collated(right, collation, false) }
  return { left: collated(left, collation, ordered), right: collated(right, collation, ordered) }
}

const exactDouble = (value: bigint): boolean => BigInt(Number(value)) === value

const inexactNote = 'whole numbers beyond 2^53 are compared with reals as doubles'

/** A constant beside a number of another type, written so that Postgres compares exactly. */
const fitLiteral = (o: Operand, other: Operand): Operand => {
  if (typeof o.literal === 'number' && other.pg !== 'double precision' && Number.isFinite(o.literal))
    return { ...o, sql: realDigits(o.literal) }
  if (typeof o.literal === 'bigint' && other.pg === 'double precision' && !exactDouble(o.literal))
    return refuse(`${o.literal} is compared with a real, and no double is that number`)
  return o
}

const numberComparison = (a: Operand, b: Operand, context: CompareContext): Comparison => {
  if (a.pg === 'boolean' && b.pg === 'boolean') return { left: a, right: b }
  const left = booleanToInteger(a)
  const right = booleanToInteger(b)
  if (isLiteral(left) || isLiteral(right)) return { left: fitLiteral(left, right), right: fitLiteral(right, left) }
  const doubles = [left, right].filter((o) => o.pg === 'double precision').length
  if (doubles === 1) {
    context.notes.add(inexactNote)
    const widen = (o: Operand) => (o.pg === 'double precision' ? o : { ...o, sql: `${wrap(o)}::double precision`, atomic: true })
    return { left: widen(left), right: widen(right) }
  }
  return { left, right }
}

/** Brings both sides, in source form, into a shape in which Postgres' operator answers as SQLite's. */
const prepare = (a: Operand, b: Operand, ordered: boolean, context: CompareContext): Comparison => {
  const { left, right } = applyAffinity(a, b)
  const plain = (o: Operand) => (o.kind === 'null' ? literal(null) : o)
  if (left.kind === 'null' || right.kind === 'null') return { left: plain(left), right: plain(right) }
  if (isNumeric(left) && isNumeric(right)) return numberComparison(left, right, context)
  if (left.kind === 'text' && right.kind === 'text' && (a.innerCollation || b.innerCollation))
    return refuse('a COLLATE inside decides a comparison')
  if (left.kind === 'text' && right.kind === 'text') return textComparison(left, right, ordered, context)
  if (left.kind === 'blob' && right.kind === 'blob') return { left, right }
  return refuse(`${describeKind(left.kind)} is compared with ${describeKind(right.kind)}, which never are equal in SQLite`)
}

/** `typeof(x) = 'integer'` and its like, where the target's type already answers. */
const compareTypeOf = (operator: ComparisonOperator, a: Operand, b: Operand): Operand | null => {
  const [type, constant] = a.typeOf ? [a, b] : [b, a]
  const argument = type.typeOf
  if (!argument || typeof constant.literal !== 'string' || isOrder(operator)) return null
  const name = constant.literal
  const equal = name === argument.kind ? 'IS NOT NULL' : name === 'null' ? 'IS NULL' : null
  const negated = operator === '<>' || operator === 'is not'
  if (equal === null || argument.kind === 'null') {
    const same = argument.kind === 'null' && name === 'null'
    return boolean(same === negated ? 'FALSE' : 'TRUE', true, true)
  }
  const flipped = equal === 'IS NULL' ? 'IS NOT NULL' : 'IS NULL'
  return boolean(`${wrap(argument)} ${negated ? flipped : equal}`, argument.immutable)
}

const isNullTest = (operator: ComparisonOperator, a: Operand, b: Operand): Operand | null => {
  if (operator !== 'is' && operator !== 'is not') return null
  const test = `IS ${operator === 'is not' ? 'NOT ' : ''}`
  if (b.literal === null) return boolean(`${wrap(a)} ${test}NULL`, a.immutable)
  return a.literal === null ? boolean(`${wrap(b)} ${test}NULL`, b.immutable) : null
}

/** What both sides become before the operator is put between them; null where the answer has another form. */
export const comparisonOf = (operator: ComparisonOperator, a: Operand, b: Operand, context: CompareContext): Comparison =>
  prepare(inSourceForm(a), inSourceForm(b), isOrder(operator), context)

/** SQLite's `a operator b`: affinity, storage classes and collations as SQLite applies them. */
export const compare = (operator: ComparisonOperator, a: Operand, b: Operand, context: CompareContext): Operand => {
  const special =
    isNullTest(operator, a, b) ??
    compareTypeOf(operator, a, b) ??
    compareJson(operator, a, b) ??
    compareInTargetTerms(operator, a, b, context.notes)
  if (special) return special
  const { left, right } = comparisonOf(operator, a, b, context)
  if ((left.kind === 'null' || right.kind === 'null') && operator !== 'is' && operator !== 'is not')
    return boolean('NULL::boolean', true, true)
  return pair(operator, left, right)
}
