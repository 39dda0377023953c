import { createHash, timingSafeEqual } from 'node:crypto'
import type { Caller } from './caller.js'
import { isTokenError } from './token-error.js'
import type { Verifier } from './verifier.js'

/** What a request says about its sender. */
export interface Credentials {
  /** The `apikey` header, or parameter of a socket's URL. */
  readonly apikey?: string | undefined
  /** The `Authorization` header. */
  readonly authorization?: string | undefined
}

/** A key of the project, by the hash that it is recognised by. */
export interface KnownKey {
  /** Of {@link digestOf}. */
  readonly digest: Buffer
  readonly role: string
}

/** A key that opens nothing. Answered with status 401 and this as the body, as the gateway in front of Supabase does. */
export class ApiKeyError extends Error {
  readonly reason: 'missing' | 'unknown'
  readonly hint: string

  constructor(reason: 'missing' | 'unknown', options?: { readonly cause?: unknown }) {
    super(reason === 'missing' ? 'No API key found in request' : 'Invalid API key', options)
    this.name = 'ApiKeyError'
    this.reason = reason
    this.hint =
      reason === 'missing'
        ? 'No `apikey` request header or url param was found.'
        : 'Double check your Supabase `anon` or `service_role` API key.'
  }

  toJSON(): { message: string; hint: string } {
    return { message: this.message, hint: this.hint }
  }
}

export interface FindCallerOptions {
  readonly verifier: Verifier
  /** The keys of the project, the retired ones included while they still count. */
  readonly keys: () => readonly KnownKey[] | Promise<readonly KnownKey[]>
  /** Whether a request needs an `apikey`. Without one it is anonymous otherwise, as with PostgREST alone. */
  readonly requireApiKey?: boolean
}

/** Tells who sends a request. Raises {@link ApiKeyError}, TokenError and TM_AUTH_JWKS. */
export type FindCaller = (credentials: Credentials) => Promise<Caller>

/** Keys are compared by their hash, so that the time tells nothing about how much of one was right. */
export const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest()

const bearerOf = (authorization: string | undefined): string | undefined => {
  const match = /^bearer(?: +(.*))?$/is.exec(authorization?.trim() ?? '')
  return match ? (match[1] ?? '').trim() : undefined
}

const byKey = (role: string): Caller => ({ role, claims: { role } })
const anonymous = byKey('anon')

const find = (key: string, keys: readonly KnownKey[]): KnownKey | undefined => {
  const digest = digestOf(key)
  let found: KnownKey | undefined
  for (const known of keys) if (timingSafeEqual(known.digest, digest)) found = known
  return found
}

/**
 * The rules of Supabase: a bearer token says who calls; without one the `apikey` does; an opaque key counts as a bearer token
 * only where it is the `apikey` too. A wrong `apikey` is refused also beside a good token.
 */
export const createFindCaller = ({ verifier, keys, requireApiKey = false }: FindCallerOptions): FindCaller => {
  const ofKey = async (key: string): Promise<Caller> => {
    const known = find(key, await keys())
    if (known && !key.includes('.')) return byKey(known.role)
    try {
      return await verifier.verify(key)
    } catch (cause) {
      // A key that was configured and that another system signed, whose secret is not known here.
      if (known && (isTokenError(cause, 'signature') || isTokenError(cause, 'key'))) return byKey(known.role)
      throw isTokenError(cause) ? new ApiKeyError('unknown', { cause }) : cause
    }
  }
  return async ({ apikey, authorization }) => {
    const bearer = bearerOf(authorization)
    if (apikey === undefined || apikey === '') {
      if (requireApiKey) throw new ApiKeyError('missing')
      return bearer === undefined ? anonymous : verifier.verify(bearer)
    }
    const sender = await ofKey(apikey)
    return bearer === undefined || bearer === apikey ? sender : verifier.verify(bearer)
  }
}
