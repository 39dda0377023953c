/** Names of keys: documented templates such as `chat:messages:{session_id}`, filled so that no two sets of params give one key. */
import { TidemarkError } from '../../errors.js'
import type { KeyPart } from '../cache.js'

export interface KeyTemplate {
  readonly text: string
  /** The names between braces, in their order. */
  readonly names: readonly string[]
  /** Takes the parts in the order of the names, as Postgres writes them. Raises TM_CACHE_KEY. */
  build(parts: readonly string[]): string
  /** The same from params, whose parts are of those forms, with a prefix that does not count. Made once: it runs for every read. */
  keyer(prefix: string, forms: readonly PartForm[]): (params: Readonly<Record<string, KeyPart | undefined>>) => string
}

/** Redis takes 512 MB; what is so long is no key but a mistake. */
const maxKeyBytes = 1024

/** Of UTF-8, for one unit of a string. */
const mostBytesOfChar = 3

const invalid = (template: string, reason: string): TidemarkError => new TidemarkError('TM_CACHE_TEMPLATE', { template, reason })

/** What separates parts, stands for other parts or cannot be typed is written as `%` and two hex digits of each byte. */
const special = /[%:{}\s\p{Cc}]/gu

/** Letters, digits and signs that are written as they are, wherever they stand. */
const plainText = /^[\w.@-]*$/
const plainUuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/

const escapePart = (part: string): string =>
  part.replaceAll(special, (found) =>
    [...Buffer.from(found)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )

/** Raises TM_CACHE_TEMPLATE. */
export const parseTemplate = (text: string): KeyTemplate => {
  const pieces = text.split(/\{([^{}]*)\}/)
  const literals = pieces.filter((_, i) => i % 2 === 0)
  const names = pieces.filter((_, i) => i % 2 === 1)
  if (text === '' || literals[0] === '') throw invalid(text, 'it begins with no name of its own')
  if (literals.some((literal) => /[{}\s\p{Cc}]/u.test(literal)))
    throw invalid(text, 'it holds a brace without its pair, or white space')
  if (names.some((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)))
    throw invalid(text, 'a name between braces is not one of letters, digits and _')
  if (new Set(names).size < names.length) throw invalid(text, 'a name stands in it twice')
  if (literals.slice(1, -1).some((literal) => !literal.includes(':'))) throw invalid(text, 'two names have no ":" between them')
  const checked = (key: string, prefixLength: number): string => {
    const chars = key.length - prefixLength
    if (chars * mostBytesOfChar > maxKeyBytes && Buffer.byteLength(key.slice(prefixLength)) > maxKeyBytes)
      throw new TidemarkError('TM_CACHE_KEY', { template: text, reason: `the key is longer than ${maxKeyBytes} bytes` })
    return key
  }
  const build = (parts: readonly string[]): string => {
    let key = literals[0]!
    for (let i = 0; i < names.length; i++) key += escapePart(parts[i]!) + literals[i + 1]!
    return checked(key, 0)
  }
  const keyer: KeyTemplate['keyer'] = (prefix, forms) => {
    const head = prefix + literals[0]!
    return (params) => {
      let key = head
      for (let i = 0; i < names.length; i++) {
        const part = params[names[i]!]
        const form = forms[i] ?? 'text'
        key += (isPlain(part, form) ? part : escapePart(writePart(text, names[i]!, part, form))) + literals[i + 1]!
      }
      return checked(key, prefix.length)
    }
  }
  return { text, names, build, keyer }
}

/** How the values of a name are written, so that the key of a read is the key of the row. */
export type PartForm = 'text' | 'integer' | 'uuid'

const uuidPattern = /^\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i

/** True for most: what {@link writePart} would give, with nothing to escape. */
const isPlain = (part: KeyPart | undefined, form: PartForm): part is string | number => {
  if (typeof part === 'number') return form !== 'uuid' && Number.isSafeInteger(part)
  if (typeof part !== 'string') return false
  return form === 'text' ? plainText.test(part) : form === 'uuid' && plainUuid.test(part)
}

/** One part as Postgres writes it. Raises TM_CACHE_KEY. */
export const writePart = (template: string, name: string, part: KeyPart | undefined, form: PartForm): string => {
  const refuse = (reason: string): never => {
    throw new TidemarkError('TM_CACHE_KEY', { template, reason: `{${name}} ${reason}` })
  }
  if (typeof part === 'number' && !Number.isSafeInteger(part))
    return refuse('is a number that is not whole, or too large to be exact')
  if (typeof part !== 'string' && typeof part !== 'number' && typeof part !== 'bigint')
    return refuse('is neither text nor a whole number')
  const text = String(part)
  if (form === 'text') return !/\p{Surrogate}|\0/u.test(text) ? text : refuse('is no text that Postgres can hold')
  if (form === 'integer') return /^-?\d{1,19}$/.test(text) ? String(BigInt(text)) : refuse('is no whole number')
  const uuid = uuidPattern.exec(text)
  return uuid ? uuid.slice(1).join('-').toLowerCase() : refuse('is no uuid')
}
