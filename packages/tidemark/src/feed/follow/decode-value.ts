import { type ArrayTree, parseArrayText } from './array-text.js'

type Decode = (text: string) => unknown

/** Integers beyond what a JavaScript number holds stay texts, so that no digit is lost. */
const integer: Decode = (text) => {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : text
}

const plainDecimal = (text: string): string => {
  const [, sign = '', whole = '', , fraction = ''] = /^(-?)0*(\d+?)(\.(\d*?)0*)?$/.exec(text) ?? []
  const digits = fraction === '' ? whole : `${whole}.${fraction}`
  return digits === '0' ? '0' : sign + digits
}

/** A decimal is a number where JavaScript writes the same decimal, else the text. */
const decimal: Decode = (text) => {
  const number = Number(text)
  if (!Number.isFinite(number)) return number
  return String(number) === plainDecimal(text) ? number : text
}

const json: Decode = (text) => JSON.parse(text)

/** `2024-01-02 03:04:05+00` as JSON has it: `2024-01-02T03:04:05+00:00`. */
const moment: Decode = (text) => text.replace(/^(\d{4,}-\d\d-\d\d) /, '$1T').replace(/([+-]\d\d)$/, '$1:00')

const scalars = new Map<number, Decode>([
  [16, (text) => text === 't'],
  [20, integer],
  [21, Number],
  [23, Number],
  [26, Number],
  [114, json],
  [700, Number],
  [701, Number],
  [1114, moment],
  [1184, moment],
  [1700, decimal],
  [3802, json],
])

/** Array types of Postgres itself with the type of their elements. */
const elements = new Map<number, number>([
  [1000, 16],
  [1005, 21],
  [1007, 23],
  [1016, 20],
  [1028, 26],
  [199, 114],
  [1021, 700],
  [1022, 701],
  [1115, 1114],
  [1185, 1184],
  [1231, 1700],
  [3807, 3802],
  // Elements that stay texts: char, name, text, bpchar, varchar, bytea, date, time, timetz, interval, uuid, inet, cidr, macaddr.
  ...[1002, 1003, 1009, 1014, 1015, 1001, 1182, 1183, 1270, 1187, 2951, 1041, 651, 1040].map((array) => [array, 25] as const),
])

const decodeTree = (tree: ArrayTree, decode: Decode): unknown[] =>
  tree.map((value) => (value === null ? null : typeof value === 'string' ? decode(value) : decodeTree(value, decode)))

const same: Decode = (text) => text

const decoderOf = (typeOid: number): Decode => {
  const element = elements.get(typeOid)
  if (element === undefined) return scalars.get(typeOid) ?? same
  const decode = scalars.get(element) ?? same
  return (text) => {
    const tree = parseArrayText(text)
    return tree === undefined ? text : decodeTree(tree, decode)
  }
}

const decoders = new Map<number, Decode>()

/**
 * A value of Postgres' text form as JSON would carry it, which is what the generated types say: booleans, numbers, parsed json, arrays,
 * moments as ISO texts, everything else its text. Where JSON would lose digits (int8 beyond 2^53, a numeric that no number writes the same) the
 * text stays. Infinities and NaN are numbers. Types of extensions and of the user stay texts, their arrays as well.
 */
export const decodeValue = (typeOid: number, text: string): unknown => {
  let decode = decoders.get(typeOid)
  if (decode === undefined) {
    decode = decoderOf(typeOid)
    decoders.set(typeOid, decode)
  }
  return decode(text)
}
