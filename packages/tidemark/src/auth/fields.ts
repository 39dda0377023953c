import { z } from 'zod'
import { AuthError } from './auth-error.js'
import type { Metadata } from './user.js'

/** Optional text; null and absent are empty, as in GoTrue. */
export const optionalText = z
  .string()
  .nullish()
  .transform((value) => value ?? '')

/** Optional free JSON. */
export const optionalMetadata = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value): Metadata | undefined => value ?? undefined)

/** A code challenge and its method (PKCE), both or neither. */
export const challengeFields = { code_challenge: optionalText, code_challenge_method: optionalText }

/** The body of a request as its schema has it. Raises AuthError, which names the fields and not their values. */
export const readBody = <T>(schema: z.ZodType<T>, body: unknown): T => {
  const result = schema.safeParse(body ?? {})
  if (result.success) return result.data
  const reason = result.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')
  throw new AuthError(400, 'bad_json', `Could not parse request body as JSON: ${reason}`)
}

export const invalid = (message: string, status = 400): AuthError => new AuthError(status, 'validation_failed', message)

const emailForm =
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/

/** An address in lower case. */
export const checkedEmail = (email: string): string => {
  if (email === '') throw invalid('An email address is required')
  if (email.length > 255) throw invalid('An email address is too long')
  if (!emailForm.test(email)) throw invalid('Unable to validate email address: invalid format')
  return email.toLowerCase()
}

/** A number in E.164 without the plus. */
export const checkedPhone = (phone: string): string => {
  const digits = phone.replace(/^\+/, '').replace(/ /g, '')
  if (!/^[1-9]\d{1,14}$/.test(digits)) throw invalid('Invalid phone number format (E.164 required)')
  return digits
}

/** Tokens carry metadata, and travel in headers, which servers read up to 16 KiB. */
const maxMetadataBytes = 8192

/** jsonb holds neither NUL nor half a character. */
const isStorable = (value: unknown): boolean => {
  if (typeof value === 'string') return !/\0|\p{Surrogate}/u.test(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, member]) => isStorable(name) && isStorable(member))
}

/** Metadata that fits into a token and into Postgres. */
export const checkedMetadata = (metadata: Metadata): Metadata => {
  if (Buffer.byteLength(JSON.stringify(metadata)) > maxMetadataBytes)
    throw invalid(`Metadata may take up to ${maxMetadataBytes} bytes`, 422)
  if (!isStorable(metadata)) throw invalid('Metadata holds a character that cannot be stored', 422)
  return metadata
}

/** The code challenge of a request, where it is begun with one. */
export const checkedChallenge = (body: {
  readonly code_challenge: string
  readonly code_challenge_method: string
}): { readonly challenge: string; readonly challengeMethod: 's256' | 'plain' } | undefined => {
  const { code_challenge: challenge, code_challenge_method: method } = body
  if ((challenge === '') !== (method === '')) throw invalid('PKCE flow requires code_challenge_method and code_challenge')
  if (challenge === '') return undefined
  if (challenge.length < 43 || challenge.length > 128) throw invalid('code challenge has to be between 43 and 128 characters')
  if (!/^[a-zA-Z._~0-9-]+$/.test(challenge))
    throw invalid('code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes')
  const challengeMethod = method.toLowerCase()
  if (challengeMethod !== 's256' && challengeMethod !== 'plain')
    throw invalid(`unsupported code_challenge method ${JSON.stringify(method.slice(0, 32))}`)
  return { challenge, challengeMethod }
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => uuidForm.test(text)
