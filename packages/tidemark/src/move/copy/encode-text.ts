import type { ColumnPolicies } from '../move.js'
import type { CopyWriter } from './copy-writer.js'
import { type CellAccess, describe, type Encode, isUtf8 } from './encode.js'
import { numberAsText } from './encode-number.js'

/** Puts a text right by the policies, or says why it cannot be. */
const settleText = (
  value: string,
  raw: Buffer,
  policies: ColumnPolicies,
): { readonly text: string; readonly reason: string } | string => {
  let text = value
  let reason = ''
  if (text.includes('\uFFFD') && !isUtf8(raw)) {
    if (policies.invalidUtf8 === 'reject' || policies.invalidUtf8 === 'null') return 'the text is not valid UTF-8'
    reason = 'the text is not valid UTF-8'
    text = policies.invalidUtf8 === 'latin1' ? raw.toString('latin1') : text
  }
  if (text.includes('\0')) {
    if (policies.nulBytes === 'reject' || policies.nulBytes === 'null') return 'the text holds a NUL byte'
    reason = reason ? `${reason}, and holds a NUL byte` : 'the text holds a NUL byte'
    text = text.replaceAll('\0', policies.nulBytes === 'strip' ? '' : '\u2400')
  }
  return { text, reason }
}

/** Writes a text that the fast path was in doubt about. */
const doubtfulText = (writer: CopyWriter, cell: CellAccess, policies: ColumnPolicies, prefix: number): string | undefined => {
  const { raw, value } = cell.exact()
  const settled = settleText(String(value), raw, policies)
  if (typeof settled === 'string') return settled
  if (settled.reason !== '') cell.replaced(settled.reason)
  writer.bytes(Buffer.concat([Buffer.alloc(prefix, 1), Buffer.from(settled.text, 'utf8')]))
  return undefined
}

const writeText = (
  writer: CopyWriter,
  text: string,
  cell: CellAccess,
  policies: ColumnPolicies,
  prefix = 0,
): string | undefined => (writer.text(text, prefix) === undefined ? undefined : doubtfulText(writer, cell, policies, prefix))

export const text =
  (policies: ColumnPolicies): Encode =>
  (writer, value, cell) =>
    typeof value === 'string' ? writeText(writer, value, cell, policies) : `${describe(value)} in a column of text`

export const anyText =
  (policies: ColumnPolicies): Encode =>
  (writer, value, cell) => {
    if (typeof value === 'string') return writeText(writer, value, cell, policies)
    const exact = cell.exact()
    if (typeof exact.value === 'bigint' || typeof exact.value === 'number') {
      writer.text(numberAsText(exact.value))
      return undefined
    }
    if (!isUtf8(exact.raw)) return 'a blob that is not text, in a column of text'
    return writer.text(exact.raw.toString('utf8')) === 'nul' ? 'a blob that holds a NUL byte, in a column of text' : undefined
  }

export const bytes: Encode = (writer, value) => {
  if (!Buffer.isBuffer(value)) return `${describe(value)} in a column of bytes`
  writer.bytes(value)
  return undefined
}

export const anyBytes: Encode = (writer, value, cell) => {
  if (Buffer.isBuffer(value)) {
    writer.bytes(value)
    return undefined
  }
  const exact = cell.exact()
  const isNumber = typeof exact.value === 'bigint' || typeof exact.value === 'number'
  writer.bytes(isNumber ? Buffer.from(numberAsText(exact.value as number | bigint)) : exact.raw)
  return undefined
}

const isJson = (value: string): boolean => {
  try {
    JSON.parse(value)
    return true
  } catch {
    return false
  }
}

/** True where a JSON text escapes a NUL or half a surrogate pair, which jsonb turns down; an escaped backslash begins nothing. */
const hasUnholdableEscape = (value: string): boolean => {
  let openPair = false
  for (const [unit, digits] of value.matchAll(/\\(?:u([\da-f]{4})|.)|[^\\]/gisu)) {
    const code = digits === undefined || unit[0] !== '\\' ? -1 : Number.parseInt(digits, 16)
    const isLow = code >= 0xdc00 && code <= 0xdfff
    if (code === 0 || isLow !== openPair) return true
    openPair = code >= 0xd800 && code <= 0xdbff
  }
  return openPair
}

export const json =
  (policies: ColumnPolicies, prefix: 0 | 1): Encode =>
  (writer, value, cell) => {
    const written =
      typeof value === 'string' ? value : Buffer.isBuffer(value) ? undefined : numberAsText(cell.exact().value as number)
    if (written === undefined || !isJson(written)) return 'not valid JSON'
    if (prefix === 1 && /\\u(?:0000|d[89a-f])/i.test(written) && hasUnholdableEscape(written))
      return 'JSON with an escape that jsonb cannot hold'
    return writeText(writer, written, cell, policies, prefix)
  }
