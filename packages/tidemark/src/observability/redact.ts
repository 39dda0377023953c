import { maskSecrets } from '../secrets.js'

const mask = '***'
/** Names whose values are secrets whatever they look like. Compared without `_`, `-` and case. */
const secretNames =
  /^(?:.*(?:password|passwd|passphrase|secret|token|apikey|privatekey|servicekey|anonkey|accesskey|credential|credentials)|pwd|authorization|proxyauthorization|cookie|setcookie|jwt|signature|dsn|auth)$/
/** Names that end like a secret's but count or describe one. */
const harmlessNames = /(?:maxtokens?|hastoken|tokencount|needspassword)$/

const isSecretName = (name: string): boolean => {
  const plain = name.toLowerCase().replace(/[_-]/g, '')
  return secretNames.test(plain) && !harmlessNames.test(plain)
}

const maxDepth = 8
const maxItems = 200
const maxText = 16_384

const textOf = (text: string): string =>
  text.length > maxText ? `${maskSecrets(text.slice(0, maxText))}… (${text.length} characters)` : maskSecrets(text)

const errorOf = (error: Error, depth: number, seen: ReadonlySet<object>): Record<string, unknown> => {
  const { name, message, stack, cause, ...rest } = error as Error & Record<string, unknown>
  const own = recordOf(rest, depth, seen)
  return {
    type: name,
    message: textOf(message),
    ...own,
    ...(stack !== undefined && { stack: textOf(stack) }),
    ...(cause !== undefined && { cause: plainOf(cause, depth + 1, seen) }),
  }
}

const recordOf = (record: object, depth: number, seen: ReadonlySet<object>): Record<string, unknown> => {
  const entries = Object.entries(record).slice(0, maxItems)
  return Object.fromEntries(
    entries.map(([name, value]) => [textOf(name), isSecretName(name) && value != null ? mask : plainOf(value, depth + 1, seen)]),
  )
}

const objectOf = (value: object, depth: number, seen: ReadonlySet<object>): unknown => {
  if (seen.has(value)) return '[circular]'
  if (depth > maxDepth) return '[deep]'
  const inner = new Set([...seen, value])
  if (value instanceof Error) return errorOf(value, depth, inner)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof URL) return textOf(value.href)
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (value instanceof Map) return recordOf(Object.fromEntries(value), depth, inner)
  if (Array.isArray(value) || value instanceof Set) {
    return [...value].slice(0, maxItems).map((item) => plainOf(item, depth + 1, inner))
  }
  return recordOf(value, depth, inner)
}

const plainOf = (value: unknown, depth: number, seen: ReadonlySet<object>): unknown => {
  if (typeof value === 'string') return textOf(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  return typeof value === 'object' && value !== null ? objectOf(value, depth, seen) : value
}

/**
 * The value as it may be logged (SEC-2): a plain copy in which every string at any depth is masked, values under secret names
 * are `***`, errors show type, message, stack and causes, and cycles, depth, length and bytes are bounded.
 */
export const redact = (value: unknown): unknown => plainOf(value, 0, new Set())

/** {@link redact} for the fields of a log line. */
export const redactFields = (fields: object): Record<string, unknown> => recordOf(fields, 0, new Set([fields]))
