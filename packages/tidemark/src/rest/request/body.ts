import type { Payload } from '../query.js'
import { RestError } from '../rest-error.js'
import { restErrors } from '../rest-errors.js'
import { csvToJson } from './csv.js'
import { jsonPayload } from './json-body.js'
import { limits } from './limits.js'
import { parseMediaType } from './media-type.js'
import { decoded, textOf } from './query-string.js'

export interface BodySource {
  readonly contentType: string | undefined
  readonly bytes: Buffer
  readonly maxBytes: number
  readonly columns: readonly string[] | undefined
}

const checkedText = ({ bytes }: BodySource): string => {
  const text = textOf(bytes)
  if (text === undefined) throw restErrors.body('The body is not valid UTF-8')
  return text
}

const checkSize = ({ bytes, maxBytes }: BodySource): void => {
  if (bytes.length <= maxBytes) return
  throw new RestError({ code: 'PGRST102', status: 413, message: `The body is larger than ${maxBytes} bytes` })
}

const formOf = (text: string): readonly (readonly [string, string])[] => {
  if (text === '') return []
  const parts = text.split('&', limits.parameters + 1)
  if (parts.length > limits.parameters) throw restErrors.body(`The form has more than ${limits.parameters} fields`)
  return parts.map((part) => {
    const equals = part.indexOf('=')
    return equals < 0 ? [decoded(part), ''] : [decoded(part.slice(0, equals)), decoded(part.slice(equals + 1))]
  })
}

type JsonPayload = Payload & { readonly kind: 'json' }

const fromCsv = (source: BodySource): JsonPayload => {
  const { text, rows, keys } = csvToJson(checkedText(source))
  return { kind: 'json', text, array: true, rows, keys: source.columns ?? keys }
}

const notAcceptable = (type: string) => restErrors.body(`Content-Type not acceptable: ${type}`)

const typeOf = ({ contentType }: BodySource): string =>
  contentType === undefined ? 'application/json' : parseMediaType(contentType).essence

/** The rows that a body brings for a relation. */
export const relationBody = (source: BodySource): JsonPayload => {
  checkSize(source)
  const type = typeOf(source)
  switch (type) {
    case 'application/json':
      return jsonPayload(checkedText(source), 'relation', source.columns)
    case 'text/csv':
      return fromCsv(source)
    case 'application/x-www-form-urlencoded': {
      const row = new Map(formOf(checkedText(source)))
      const members = [...row].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
      const keys = source.columns ?? [...row.keys()]
      return { kind: 'json', text: `{${members.join(',')}}`, array: false, rows: 1, keys }
    }
    default:
      throw notAcceptable(type)
  }
}

/** The arguments that a body brings for a function: a payload, or named texts from a form. */
export const functionBody = (
  source: BodySource,
): { readonly payload: Payload | undefined; readonly named: ReadonlyMap<string, readonly string[]> } => {
  checkSize(source)
  const type = typeOf(source)
  const named = new Map<string, string[]>()
  switch (type) {
    case 'application/json':
      return { payload: jsonPayload(checkedText(source), 'function', source.columns), named }
    case 'text/csv':
      return { payload: fromCsv(source), named }
    case 'application/x-www-form-urlencoded':
      for (const [name, value] of formOf(checkedText(source))) {
        const values = named.get(name)
        if (values) values.push(value)
        else named.set(name, [value])
      }
      return { payload: undefined, named }
    case 'text/plain':
      return { payload: { kind: 'raw', type: 'text', bytes: source.bytes }, named }
    case 'text/xml':
      return { payload: { kind: 'raw', type: 'xml', bytes: source.bytes }, named }
    case 'application/octet-stream':
      return { payload: { kind: 'raw', type: 'octets', bytes: source.bytes }, named }
    default:
      throw notAcceptable(type)
  }
}
