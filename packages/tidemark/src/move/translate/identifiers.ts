import { createHash } from 'node:crypto'
import type { TargetName } from './translation.js'

/** Postgres cuts longer names without a word. */
export const maxIdentifierBytes = 63

export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

export const qualifiedName = ({ schema, name }: TargetName): string => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`

/** A text constant that means the same whatever `standard_conforming_strings` says. */
export const quoteLiteral = (text: string): string => {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** The longest beginning of `text` that takes at most `maxBytes` in UTF-8 and cuts no character. */
const cutToBytes = (text: string, maxBytes: number): string => {
  let bytes = 0
  let cut = ''
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > maxBytes) break
    cut += character
  }
  return cut
}

/**
 * The name under which Postgres keeps `name`: itself where it fits into 63 bytes and is free, else its beginning and eight hex digits of its
 * hash. The same name and the same taken names give the same result. Nothing is added to `taken`.
 */
export const fitIdentifier = (name: string, taken: ReadonlySet<string> = new Set()): string => {
  if (name !== '' && Buffer.byteLength(name) <= maxIdentifierBytes && !taken.has(name)) return name
  for (let round = 0; ; round++) {
    const hash = createHash('sha256').update(`${round}\0${name}`).digest('hex').slice(0, 8)
    const candidate = `${cutToBytes(name, maxIdentifierBytes - 9)}_${hash}`
    if (!taken.has(candidate)) return candidate
  }
}
