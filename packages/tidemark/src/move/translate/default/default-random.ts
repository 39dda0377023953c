import { tokenize } from '../../../sqlite/tokenize.js'
import type { ReceivingColumn } from '../expression/coerce.js'
import type { Expression } from '../expression/expression-tree.js'
import { refuse } from '../refusal.js'

/** Hex digits of version 4 uuids: 122 of each 128 bits are random. */
const hexDigits = (bytes: number): string => {
  const uuids = Array.from({ length: Math.ceil(bytes / 16) }, () => 'gen_random_uuid()::text').join(' || ')
  const digits = `replace(${uuids}, '-', '')`
  return bytes % 16 === 0 ? digits : `left(${digits}, ${bytes * 2})`
}

const randomBlobBytes = (expression: Expression): number | null => {
  if (expression.kind !== 'call' || expression.name !== 'randomblob') return null
  const [size] = expression.args
  const bytes = size?.kind === 'literal' && typeof size.value === 'bigint' ? Number(size.value) : 0
  return bytes > 0 && bytes <= 256 ? bytes : refuse('randomblob() has a size that is computed or beyond 256')
}

const inner = (expression: Expression, name: string): Expression | null =>
  expression.kind === 'call' && expression.name === name && expression.args.length === 1 ? (expression.args[0] ?? null) : null

/** `hex(randomblob(n))`, with lower() around it or not. */
const hexOf = (expression: Expression): { readonly bytes: number; readonly lower: boolean } | null => {
  const lowered = inner(expression, 'lower')
  const blob = inner(lowered ?? expression, 'hex')
  const bytes = blob && randomBlobBytes(blob)
  return bytes ? { bytes, lower: lowered !== null } : null
}

/** The expression that people copy to make a version 4 uuid out of hex(randomblob(…)) and dashes. */
const isUuidRecipe = (sql: string): boolean => {
  const texts = tokenize(sql).map((token) => token.text.toLowerCase())
  const blobs = texts.flatMap((text, i) => (text === 'randomblob' ? [texts[i + 2]] : []))
  const dashes = texts.filter((text) => /^'-4?'$/.test(text)).length
  const hasVersion = texts.some((text) => text === "'-4'" || text === "'4'")
  return hasVersion && texts.includes("'89ab'") && dashes >= 4 && blobs.join() === '4,2,2,2,6' && texts[0] === 'lower'
}

const note = 'of 128 random bits six are fixed, as in a version 4 uuid'

/** Random ids as a default; null where the default is none. */
export const randomSql = (sql: string, expression: Expression, column: ReceivingColumn, notes: Set<string>): string | null => {
  const { conversion } = column
  const isText = conversion.kind === 'text' || conversion.kind === 'anyText'
  if (isUuidRecipe(sql)) {
    if (conversion.kind === 'uuid' && conversion.form === 'dashed') return 'gen_random_uuid()'
    return isText ? 'gen_random_uuid()::text' : refuse('the default writes uuids as text')
  }
  const hex = hexOf(expression)
  if (hex) {
    notes.add(note)
    if (conversion.kind === 'uuid' && conversion.form === 'dashless' && hex.bytes === 16 && hex.lower) return 'gen_random_uuid()'
    if (!isText) return refuse('the default writes random hex digits as text')
    return hex.lower ? hexDigits(hex.bytes) : `upper(${hexDigits(hex.bytes)})`
  }
  const bytes = randomBlobBytes(expression)
  if (bytes === null) return null
  notes.add(note)
  return conversion.kind === 'bytes' ? `decode(${hexDigits(bytes)}, 'hex')` : refuse('the default writes random bytes')
}
