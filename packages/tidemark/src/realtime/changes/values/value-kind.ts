import { typeOids } from '../../../feed/type-oids.js'
import { momentMicros } from './moment-text.js'

/** What a comparison of texts would have to know of the column's collation. */
export interface Collation {
  /** Equal values are equal texts. */
  readonly deterministic: boolean
  /** Order is that of the bytes. */
  readonly bytewise: boolean
}

/**
 * How values of a type compare in Postgres, where that is known here for certain. Texts that differ may be equal values (`1.0` and `1.00`); their
 * keys are equal then, and only then. Undefined: this text is none that is known.
 */
export interface ValueKind {
  key(text: string): string | undefined
  /** Below zero where the first comes first. Missing where only Postgres can say. */
  readonly compare?: (a: string, b: string) => number | undefined
  /** True where texts match patterns as they stand. */
  readonly pattern: boolean
}

const orderOf = <T extends string | number | bigint>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0)
const byText = (a: string, b: string): number => orderOf(a, b)
const same = (text: string): string => text

/** Keys and order by one number for each text. */
const by = <T extends number | bigint>(read: (text: string) => T | undefined): ValueKind => ({
  key: (text) => read(text)?.toString(),
  compare: (a, b) => {
    const [first, second] = [read(a), read(b)]
    return first === undefined || second === undefined ? undefined : orderOf(first, second)
  },
  pattern: false,
})

const integer: ValueKind = {
  key: (text) => (/^-?\d+$/.test(text) ? text : undefined),
  compare: (a, b) => (a.length < 16 && b.length < 16 ? Number(a) - Number(b) : orderOf(BigInt(a), BigInt(b))),
  pattern: false,
}

/** NaN is equal to itself and larger than everything; zero has no sign. */
const floatRank = (text: string): number => (text === 'NaN' ? Number.POSITIVE_INFINITY : Number(text))
const float: ValueKind = {
  key: (text) => (text === '-0' ? '0' : text),
  compare: (a, b) => orderOf(floatRank(a), floatRank(b)) || orderOf(a === 'NaN' ? 1 : 0, b === 'NaN' ? 1 : 0),
  pattern: false,
}

const decimalForm = /^(-?)0*(\d*)(?:\.(\d*?)0*)?$/
const decimalSpecials: Readonly<Record<string, number>> = { '-Infinity': -1, Infinity: 1, NaN: 2 }

const decimalKey = (text: string): string | undefined => {
  if (decimalSpecials[text] !== undefined) return text
  const [, sign, whole, fraction = ''] = decimalForm.exec(text) ?? []
  if (sign === undefined || whole === undefined) return undefined
  if (whole === '' && fraction === '') return '0'
  return `${sign}${whole === '' ? '0' : whole}${fraction === '' ? '' : `.${fraction}`}`
}

/** Of two keys without signs. */
const compareMagnitudes = (a: string, b: string): number => {
  const [wholeA = '', fractionA = ''] = a.split('.')
  const [wholeB = '', fractionB = ''] = b.split('.')
  return orderOf(wholeA.length, wholeB.length) || byText(wholeA, wholeB) || byText(fractionA, fractionB)
}

const decimal: ValueKind = {
  key: decimalKey,
  compare: (first, second) => {
    const [a, b] = [decimalKey(first), decimalKey(second)]
    if (a === undefined || b === undefined) return undefined
    const [rankA, rankB] = [decimalSpecials[a] ?? 0, decimalSpecials[b] ?? 0]
    if (rankA !== 0 || rankB !== 0) return orderOf(rankA, rankB)
    const [negativeA, negativeB] = [a.startsWith('-'), b.startsWith('-')]
    if (negativeA !== negativeB) return negativeA ? -1 : 1
    return negativeA ? compareMagnitudes(b.slice(1), a.slice(1)) : compareMagnitudes(a, b)
  },
  pattern: false,
}

const verbatim: ValueKind = { key: same, compare: byText, pattern: false }
/** Equal texts are equal values; their order is known to Postgres alone. */
const labels: ValueKind = { key: same, pattern: false }

const bytewise = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const textKind = ({ deterministic, bytewise: inBytes }: Collation): ValueKind | undefined => {
  if (!deterministic) return undefined
  return inBytes ? { key: same, compare: bytewise, pattern: true } : { key: same, pattern: true }
}

const withoutPadding = (text: string): string => text.replace(/ +$/, '')

/** Trailing blanks of a `char(n)` count for nothing but in patterns. */
const paddedKind = ({ deterministic, bytewise: inBytes }: Collation): ValueKind | undefined => {
  if (!deterministic) return undefined
  const key = withoutPadding
  return inBytes ? { key, compare: (a, b) => bytewise(key(a), key(b)), pattern: false } : { key, pattern: false }
}

const moment = by(momentMicros)

const kinds = new Map<number, ValueKind>([
  [typeOids.bool, verbatim],
  // Hex digits sort as the bytes do.
  [typeOids.bytea, verbatim],
  [typeOids.uuid, verbatim],
  [typeOids.time, verbatim],
  [typeOids.name, labels],
  [typeOids.int2, integer],
  [typeOids.int4, integer],
  [typeOids.int8, integer],
  [typeOids.oid, integer],
  [typeOids.float4, float],
  [typeOids.float8, float],
  [typeOids.numeric, decimal],
  [typeOids.date, moment],
  [typeOids.timestamp, moment],
  [typeOids.timestamptz, moment],
])

/** How values of a type of Postgres itself compare; undefined where Postgres has to be asked. */
export const valueKind = (baseOid: number, collation: Collation): ValueKind | undefined => {
  if (baseOid === typeOids.text || baseOid === typeOids.varchar) return textKind(collation)
  if (baseOid === typeOids.bpchar) return paddedKind(collation)
  return kinds.get(baseOid)
}
