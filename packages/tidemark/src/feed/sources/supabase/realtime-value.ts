import type { Value } from '../../feed.js'
import { jsonElements } from './json-members.js'

/** Types of Postgres itself, by the names that Realtime gives them. */
const typeOids: Readonly<Record<string, number>> = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  float4: 700,
  float8: 701,
  money: 790,
  cidr: 650,
  inet: 869,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
  _bool: 1000,
  _bytea: 1001,
  _int2: 1005,
  _int4: 1007,
  _text: 1009,
  _bpchar: 1014,
  _varchar: 1015,
  _int8: 1016,
  _float4: 1021,
  _float8: 1022,
  _timestamp: 1115,
  _date: 1182,
  _timestamptz: 1185,
  _json: 199,
  _numeric: 1231,
  _uuid: 2951,
  _jsonb: 3807,
}

/** The type's number; 0 for one that only the database knows. */
export const typeOidOf = (typeName: string): number => typeOids[typeName] ?? 0

/** `2024-01-02T03:04:05+00:00` as Postgres writes it. */
const momentText = (text: string): string => text.replace(/^(\d{4,}-\d\d-\d\d)T/, '$1 ').replace(/([+-]\d\d):00$/, '$1')

const scalarText = (typeName: string, json: string): string => {
  if (typeName === 'json' || typeName === 'jsonb') return json
  if (json === 'true') return 't'
  if (json === 'false') return 'f'
  if (!json.startsWith('"')) return json
  const text = JSON.parse(json) as string
  return typeName === 'timestamp' || typeName === 'timestamptz' ? momentText(text) : text
}

const arrayText = (elementType: string, json: string): string => {
  const elements = jsonElements(json).map((element) => {
    if (element === 'null') return 'NULL'
    if (element.startsWith('[') && !elementType.startsWith('json')) return arrayText(elementType, element)
    const text = scalarText(elementType, element)
    return text === '' || /["\\{},\s]|^null$/i.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text
  })
  return `{${elements.join(',')}}`
}

/** A value of a Realtime frame, as it is written there, in Postgres' text form. */
export const realtimeValue = (typeName: string, json: string): Value => {
  if (json === 'null') return null
  if (typeName.startsWith('_') && json.startsWith('[')) return arrayText(typeName.slice(1), json)
  return scalarText(typeName, json)
}
