import { restErrors } from '../rest-errors.js'
import { limits } from './limits.js'

export type Parameter = readonly [name: string, value: string]

const invalid = (reason: string) => restErrors.parse('"failed to parse query string" (line 1, column 1)', reason)

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes as text; undefined where they are no UTF-8. */
export const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

const hexDigit = (code: number): number => {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** The slow way, for what is not only ASCII and whole escapes: `%` without two digits stays as it is. */
const decodedBytes = (text: string): string => {
  const raw = Buffer.from(text, [...text].some((char) => char > '\u00ff') ? 'utf8' : 'latin1')
  const bytes = Buffer.allocUnsafe(raw.length)
  let length = 0
  for (let at = 0; at < raw.length; at += 1) {
    const byte = raw[at] ?? 0
    const high = byte === 37 ? hexDigit(raw[at + 1] ?? 0) : -1
    const low = high < 0 ? -1 : hexDigit(raw[at + 2] ?? 0)
    const escaped = high >= 0 && low >= 0
    bytes[length] = escaped ? high * 16 + low : byte
    length += 1
    if (escaped) at += 2
  }
  const decoded = textOf(bytes.subarray(0, length))
  if (decoded === undefined) throw invalid('unexpected bytes that are not UTF-8')
  return decoded
}

const plain = /^[\x20-\x24\x26-\x7e]*$/

/** A part of a query string without its escapes. A plus is a space. */
export const decoded = (text: string): string => {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (plain.test(spaced)) return spaced
  try {
    // Characters above ASCII are bytes here, and are read as such below.
    if (/^[\0-\x7f]*$/.test(spaced)) return decodeURIComponent(spaced)
  } catch {
    // An escape that is none, or bytes that are no text.
  }
  return decodedBytes(spaced)
}

/** Names and values, in order. What has no `=` is no parameter. */
export const parseQueryString = (query: string): readonly Parameter[] => {
  const text = query.startsWith('?') ? query.slice(1) : query
  if (text === '') return []
  const parts = text.split('&', limits.parameters + 1)
  if (parts.length > limits.parameters) throw invalid(`unexpected more than ${limits.parameters} parameters`)
  return parts.flatMap((part) => {
    const equals = part.indexOf('=')
    return equals < 0 ? [] : [[decoded(part.slice(0, equals)), decoded(part.slice(equals + 1))] as const]
  })
}
