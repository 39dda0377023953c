import { refuse } from '../refusal.js'
import { overflowNote } from './arithmetic.js'
import { type CompareContext, collated, comparisonOf } from './compare.js'
import { isDate, splitMoment } from './moments.js'
import {
  allImmutable,
  asBigint,
  asBoolean,
  asText,
  booleanToInteger,
  call,
  describeKind,
  isNumeric,
  literal,
  type Operand,
  operand,
  wrap,
} from './operand.js'
import { glob, like } from './patterns.js'
import { unify } from './unify.js'

/** A scalar function of SQLite over operands in source form. */
type ScalarFunction = (args: readonly Operand[], context: CompareContext, name: string) => Operand

const nullText = operand('NULL::text', 'null', 'text', { atomic: true })
const nullInteger = operand('NULL::bigint', 'null', 'bigint', { atomic: true })

/** Gives NULL where the first argument is, else calls with it as text. */
const onText =
  (build: (text: Operand, rest: readonly Operand[], name: string) => Operand): ScalarFunction =>
  ([first, ...rest], _, name) => {
    if (!first) return refuse(`${name}() has no argument`)
    return first.kind === 'null' ? nullText : build(asText(first, `${name}()`), rest, name)
  }

/** Other letters than A to Z keep their case in SQLite. */
const foldedCase = (pg: 'lower' | 'upper'): ScalarFunction =>
  onText((text) => operand(`${pg}(${wrap(text)} COLLATE "C")`, 'text', 'text', { atomic: true, immutable: text.immutable }))

const length: ScalarFunction = ([value]) => {
  if (!value || value.kind === 'null') return nullInteger
  if (value.kind === 'blob') return call('octet_length', [value], 'integer', 'integer')
  return call('length', [asText(value, 'length()')], 'integer', 'integer')
}

const octetLength: ScalarFunction = ([value]) => {
  if (!value || value.kind === 'null') return nullInteger
  return call('octet_length', [value.kind === 'blob' ? value : asText(value, 'octet_length()')], 'integer', 'integer')
}

const trim = (pg: 'btrim' | 'ltrim' | 'rtrim'): ScalarFunction =>
  onText((text, [characters], name) => {
    if (characters?.kind === 'null') return nullText
    return call(pg, [text, characters ? asText(characters, `${name}()`) : "' '"], 'text', 'text')
  })

const smallInteger = (o: Operand | undefined): number | null =>
  typeof o?.literal === 'bigint' && o.literal > -1_000_000_000n && o.literal < 1_000_000_000n ? Number(o.literal) : null

const substr: ScalarFunction = ([value, from, count], _, name) => {
  if (!value || !from) return refuse(`${name}() has too few arguments`)
  if (value.kind === 'null' || from.kind === 'null' || count?.kind === 'null') return nullText
  const start = smallInteger(from)
  const width = count ? smallInteger(count) : null
  if (start === null || (count && (width === null || width < 0)))
    return refuse(`${name}() has a position or a length that is computed or negative`)
  if (value.kind === 'blob') return refuse(`${name}() is applied to a blob; SQLite gives NULL for an empty one`)
  const text = asText(value, `${name}()`)
  if (start < 0 && !count) return call('right', [text, String(-start)], 'text', 'text')
  const at = start < 0 ? `length(${text.sql})${start === -1 ? '' : ` - ${-start - 1}`}` : String(start)
  return call('substr', [text, at, ...(width === null ? [] : [String(width)])], 'text', 'text')
}

const instr: ScalarFunction = ([text, part]) => {
  if (!text || !part || text.kind === 'null' || part.kind === 'null') return nullInteger
  if (text.kind === 'blob' || part.kind === 'blob') return refuse('instr() is applied to a blob')
  return call('strpos', [asText(text, 'instr()'), asText(part, 'instr()')], 'integer', 'integer')
}

const replace: ScalarFunction = ([value, part, by], _, name) => {
  if (!value || !part || !by) return refuse(`${name}() has too few arguments`)
  if (value.kind === 'null' || part.kind === 'null') return nullText
  const [text, from, to] = [asText(value, 'replace()'), asText(part, 'replace()'), asText(by, 'replace()')]
  const replaced = call('replace', [text, from, to], 'text', 'text')
  if (typeof by.literal === 'string' || (typeof part.literal === 'string' && part.literal !== '')) return replaced
  // Where there is nothing to look for, SQLite does not look at the third argument either.
  return operand(`CASE WHEN ${wrap(from)} = '' THEN ${text.sql} ELSE ${replaced.sql} END`, 'text', 'text', {
    immutable: replaced.immutable,
  })
}

const abs: ScalarFunction = ([value], { notes }) => {
  if (!value || value.kind === 'null') return nullInteger
  if (!isNumeric(value)) return refuse(`abs() is applied to ${describeKind(value.kind)}`)
  if (value.kind === 'integer') notes.add(overflowNote)
  const number = value.kind === 'integer' ? asBigint(value) : value
  return call('abs', [number], value.kind, number.pg)
}

const sign: ScalarFunction = ([value]) => {
  if (!value || value.kind === 'null') return nullInteger
  if (!isNumeric(value)) return refuse(`sign() is applied to ${describeKind(value.kind)}`)
  return operand(`sign(${booleanToInteger(value).sql})::integer`, 'integer', 'integer', {
    atomic: true,
    immutable: value.immutable,
  })
}

/** Halves away from zero; doubles from 2^52 on have no fraction to round. */
const round: ScalarFunction = ([value, digits]) => {
  if (!value || value.kind === 'null') return operand('NULL::double precision', 'null', 'double precision', { atomic: true })
  if (digits && digits.literal !== 0n) return refuse('round() to decimal places works on the binary digits of a double in SQLite')
  if (value.kind === 'integer')
    return operand(`${wrap(booleanToInteger(value))}::double precision`, 'real', 'double precision', {
      atomic: true,
      immutable: value.immutable,
    })
  if (value.kind !== 'real' || value.pg !== 'double precision') return refuse(`round() is applied to ${describeKind(value.kind)}`)
  const x = wrap(value)
  const sql = `CASE WHEN abs(${x}) > 4503599627370495 THEN ${x} ELSE trunc(${x} + 0.5 * sign(${x})) END`
  return operand(sql, 'real', 'double precision', { immutable: value.immutable })
}

const coalesce: ScalarFunction = (args, { notes }, name) => {
  const { operands, shape } = unify(args, `${name}()`, notes)
  if (shape.kind === 'null') return shape
  return operand(`COALESCE(${operands.map((o) => o.sql).join(', ')})`, shape.kind, shape.pg, {
    atomic: true,
    immutable: allImmutable(...operands),
  })
}

const nullif: ScalarFunction = ([first, second], context) => {
  if (!first || !second) return refuse('nullif() has too few arguments')
  if (first.kind === 'null' || second.kind === 'null') return first
  // A function sees values, not affinities.
  const { left, right } = comparisonOf('=', { ...first, affinity: null }, { ...second, affinity: null }, context)
  const immutable = allImmutable(left, right)
  // What is given back is the first argument, not what was compared.
  const sql = `CASE WHEN ${wrap(left)} = ${wrap(right)} THEN NULL ELSE ${first.sql} END`
  return operand(sql, first.kind, first.pg, { immutable })
}

const iif: ScalarFunction = ([condition, yes, no], { notes }, name) => {
  if (!condition || !yes) return refuse(`${name}() has too few arguments`)
  const { operands, shape } = unify([yes, no ?? literal(null)], `${name}()`, notes)
  const test = asBoolean(condition)
  const sql = `CASE WHEN ${test.sql} THEN ${operands[0]?.sql} ELSE ${operands[1]?.sql} END`
  return operand(sql, shape.kind, shape.pg, { immutable: allImmutable(test, ...operands) })
}

/** min() and max() of several arguments: NULL as soon as one is. */
const extreme =
  (pg: 'LEAST' | 'GREATEST'): ScalarFunction =>
  (args, { notes, utf16 }, name) => {
    if (args.length < 2) return refuse(`${name}() of one argument is an aggregate`)
    if (args.some((arg) => arg.kind === 'null')) return literal(null)
    const { operands, shape } = unify(args.map(booleanToInteger), `${name}()`, notes)
    if (new Set(args.map((arg) => arg.kind)).size > 1) return refuse(`${name}() is applied to numbers of several classes`)
    if (args.some((arg) => arg.collation && arg.collation.name !== 'BINARY')) return refuse(`${name}() follows a collation`)
    if (shape.kind === 'text' && utf16) return refuse('the file is UTF-16, which orders text otherwise')
    const compared = shape.kind === 'text' ? operands.map((o) => collated(o, 'BINARY', true)) : operands
    const anyNull = args.map((arg) => `${wrap(arg)} IS NULL`).join(' OR ')
    const sql = `CASE WHEN ${anyNull} THEN NULL ELSE ${pg}(${compared.map((o) => o.sql).join(', ')}) END`
    return operand(sql, shape.kind, shape.pg, { immutable: allImmutable(...operands) })
  }

const typeOf: ScalarFunction = ([value]) => {
  if (!value) return refuse('typeof() has no argument')
  if (value.kind === 'number') return refuse('typeof() is asked of a number that may be whole or not')
  const sql = value.kind === 'null' ? "'null'" : `CASE WHEN ${wrap(value)} IS NULL THEN 'null' ELSE '${value.kind}' END`
  return operand(sql, 'text', 'text', { immutable: value.immutable, typeOf: value })
}

const hex: ScalarFunction = ([value]) => {
  if (!value || value.kind === 'null') return literal('')
  const isBlob = value.kind === 'blob'
  const bytes = isBlob ? value.sql : `convert_to(${asText(value, 'hex()').sql}, 'UTF8')`
  return operand(`COALESCE(upper(encode(${bytes}, 'hex')), '')`, 'text', 'text', {
    atomic: true,
    immutable: isBlob && value.immutable,
  })
}

const unicode: ScalarFunction = onText((text) =>
  operand(`NULLIF(ascii(${text.sql}), 0)`, 'integer', 'integer', { atomic: true, immutable: text.immutable }),
)

/** date(), time() and datetime() of one constant that is already a moment. */
const momentOf =
  (part: 'date' | 'time' | 'datetime'): ScalarFunction =>
  (args, _, name) => {
    const text = args[0]?.literal
    const moment =
      args.length === 1 && typeof text === 'string' ? (isDate(text) ? { date: text, time: '00:00:00' } : splitMoment(text)) : null
    if (!moment || !/^\d\d:\d\d(?::\d\d)?$/.test(moment.time)) return refuse(`${name}() is applied to more than a constant`)
    const time = moment.time.length === 5 ? `${moment.time}:00` : moment.time
    return literal({ date: moment.date, time, datetime: `${moment.date} ${time}` }[part])
  }

const unlikely: ScalarFunction = ([value]) => (value ? { ...value, affinity: null } : refuse('likely() has no argument'))

const scalarFunctions: Readonly<Record<string, ScalarFunction>> = {
  abs,
  coalesce,
  date: momentOf('date'),
  datetime: momentOf('datetime'),
  glob: (args) => glob(args[1] ?? literal(null), args[0] ?? literal(null)),
  hex,
  if: iif,
  ifnull: coalesce,
  iif,
  instr,
  length,
  like: (args) => like(args[1] ?? literal(null), args[0] ?? literal(null), args[2] ?? null),
  likely: unlikely,
  lower: foldedCase('lower'),
  ltrim: trim('ltrim'),
  max: extreme('GREATEST'),
  min: extreme('LEAST'),
  nullif,
  octet_length: octetLength,
  replace,
  round,
  rtrim: trim('rtrim'),
  sign,
  substr,
  substring: substr,
  time: momentOf('time'),
  trim: trim('btrim'),
  typeof: typeOf,
  unicode,
  unlikely,
  upper: foldedCase('upper'),
}

/** A call of a scalar function with its arguments in source form; refuses those that have no sure counterpart. */
export const callFunction = (name: string, args: readonly Operand[], context: CompareContext): Operand => {
  const build = Object.hasOwn(scalarFunctions, name) ? scalarFunctions[name] : undefined
  if (!build) return refuse(`the function ${name}() has no sure counterpart in Postgres`)
  for (const arg of args) if (arg.collation?.explicit) refuse(`an argument of ${name}() is collated`)
  return build(args, context, name)
}
