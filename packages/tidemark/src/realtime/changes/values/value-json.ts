import { type ArrayTree, parseArrayText } from '../../../feed/follow/array-text.js'
import { parseRecordText } from '../../../feed/sources/outbox/record-text.js'
import { momentJsonText } from './moment-text.js'
import type { TypeFacts } from './type-catalogue.js'

/** A value in Postgres' text form as the text of a JSON value. */
export type ToJson = (text: string) => string

const quoted: ToJson = (text) => JSON.stringify(text)

/** Numbers keep their digits. What JSON has no number for is a text, as in `to_jsonb`. */
const number: ToJson = (text) => (/^-?\d/.test(text) ? (text === '-0' ? '0' : text) : JSON.stringify(text))

const moment: ToJson = (text) => JSON.stringify(momentJsonText(text))

/** The log's plug-in that Supabase reads leaves the `\x` out; within arrays it stays. */
const bytes: ToJson = (text) => JSON.stringify(text.startsWith('\\x') ? text.slice(2) : text)

const scalars = new Map<number, ToJson>([
  [16, (text) => (text === 't' ? 'true' : 'false')],
  [20, number],
  [21, number],
  [23, number],
  [700, number],
  [701, number],
  [1700, number],
  [114, (text) => text],
  [3802, (text) => text],
  [1114, moment],
  [1184, moment],
])

const treeJson = (tree: ArrayTree, element: ToJson): string =>
  `[${tree.map((value) => (value === null ? 'null' : typeof value === 'string' ? element(value) : treeJson(value, element))).join(',')}]`

const arrayJson =
  (element: ToJson): ToJson =>
  (text) => {
    const tree = parseArrayText(text)
    return tree === undefined ? JSON.stringify(text) : treeJson(tree, element)
  }

/** Only those of `box` are written with another sign between their elements, and without quotes. */
const boxesJson: ToJson = (text) =>
  /^\{[^{}]*\}$/.test(text) ? JSON.stringify(text.slice(1, -1).split(';')) : JSON.stringify(text)

const recordJson = (fields: NonNullable<TypeFacts['fields']>): ToJson => {
  const members = fields.map(({ name, type }) => ({ name: `${JSON.stringify(name)}:`, toJson: within(type) }))
  return (text) => {
    const values = parseRecordText(text)
    if (values.length !== members.length) return JSON.stringify(text)
    return `{${members.map(({ name, toJson }, index) => name + (values[index] == null ? 'null' : toJson(values[index]))).join(',')}}`
  }
}

/** Within arrays and composite values. */
const within = ({ baseOid, element, fields }: TypeFacts): ToJson => {
  if (element) return element.delimiter === ',' ? arrayJson(within(element)) : boxesJson
  if (fields) return recordJson(fields)
  return scalars.get(baseOid) ?? quoted
}

/** Whether an extension has a say in how values of a type become JSON: Postgres has to be asked then. */
export const isForeign = ({ ownJson, element, fields }: TypeFacts): boolean =>
  ownJson || (element !== undefined && isForeign(element)) || (fields?.some(({ type }) => isForeign(type)) ?? false)

const byteaOid = 17

/**
 * How values of a type become JSON: as Supabase Realtime tells them, which is `to_jsonb` of the value (and `bytea` in hex alone). For types
 * that {@link isForeign} is true of, only until Postgres has said it.
 */
export const valueJson = (type: TypeFacts): ToJson => (type.baseOid === byteaOid ? bytes : within(type))
