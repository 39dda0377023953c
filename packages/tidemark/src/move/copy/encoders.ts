/** The encoder of each conversion. */
import type { ColumnPlan, Conversion } from '../move.js'
import { describe, type Encode } from './encode.js'
import { date, epoch, time, timestamp, timestamptz } from './encode-moment.js'
import { numeric, wholeNumber } from './encode-number.js'
import { anyBytes, anyText, bytes, json, text } from './encode-text.js'
import { type MapId, uuid } from './encode-uuid.js'
import { limitOf } from './limits.js'

const boolean = ({ truthy, falsy }: Extract<Conversion, { kind: 'boolean' }>): Encode => {
  const forms = new Map<string, boolean>([
    ...truthy.map((form) => [form, true] as const),
    ...falsy.map((form) => [form, false] as const),
  ])
  return (writer, value) => {
    const known = Buffer.isBuffer(value) ? undefined : forms.get(String(value))
    if (known === undefined) return `${describe(value)} that is none of ${[...forms.keys()].join(', ')}`
    writer.boolean(known)
    return undefined
  }
}

/** The base types whose binary form is known here, under the names of `format_type` without their modifiers. */
export const binaryTypes: ReadonlySet<string> = new Set([
  'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric', 'text', 'character varying', 'character', 'citext', 'name',
  'bytea', 'boolean', 'date', 'time without time zone', 'timestamp without time zone', 'timestamp with time zone', 'uuid', 'json', 'jsonb',
]) // biome-ignore format: one line reads better

/** `format_type` without its modifier: `numeric(10,2)` is `numeric`, `timestamp(3) with time zone` is `timestamp with time zone`. */
export const baseTypeOf = (type: string): string =>
  type
    .replace(/\([^)]*\)/, '')
    .replace(/\s+/g, ' ')
    .trim()

const encoderOf = ({ conversion, policies, targetType }: ColumnPlan, mapId: MapId): Encode => {
  switch (conversion.kind) {
    case 'integer':
    case 'real':
    case 'numeric':
      return wholeNumber[baseTypeOf(targetType)] ?? numeric
    case 'text':
      return text(policies)
    case 'anyText':
      return anyText(policies)
    case 'bytes':
      return bytes
    case 'anyBytes':
      return anyBytes
    case 'boolean':
      return boolean(conversion)
    case 'date':
      return date
    case 'time':
      return time(conversion)
    case 'timestamp':
      return timestamp(conversion)
    case 'timestamptz':
      return timestamptz(conversion)
    case 'epoch':
      return epoch(conversion)
    case 'uuid':
      return uuid(conversion, mapId)
    case 'json':
      return json(policies, 0)
    case 'jsonb':
      return json(policies, 1)
  }
}

/** The encoder of one column. */
export const createEncoder = (column: ColumnPlan, mapId: MapId): Encode => {
  const encode = encoderOf(column, mapId)
  const limit = limitOf(column)
  return limit ? (writer, value, cell) => limit(value) ?? encode(writer, value, cell) : encode
}
