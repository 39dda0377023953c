import type { Value } from '../../feed.js'
import { typeOids } from '../../type-oids.js'
import { jsonElements } from './json-members.js'

/** The type's number; 0 for one that only the database knows. */
export const typeOidOf = (typeName: string): number => (typeOids as Readonly<Record<string, number>>)[typeName] ?? 0

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
