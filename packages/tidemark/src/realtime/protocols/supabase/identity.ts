import type { Caller } from '../../../auth/caller.js'
import { ApiKeyError, type FindCaller } from '../../../auth/find-caller.js'
import { isTokenError, type TokenError } from '../../../auth/token-error.js'
import type { Services } from './services.js'

/** Whose a key or a token is. */
export interface Identity {
  readonly token: string
  readonly caller: Caller
  /** Wall time in milliseconds; Infinity for an opaque key. */
  readonly expiresAtMs: number
}

export type RefusedTokenCode = 'InvalidJWTToken' | 'MalformedJWT' | 'JwtSignatureError'

/** A token that opens nothing here, in Supabase's words. */
export class RefusedToken extends Error {
  readonly code: RefusedTokenCode
  readonly isExpired: boolean

  constructor(
    code: RefusedTokenCode,
    message: string,
    { isExpired = false, cause }: { isExpired?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.name = 'RefusedToken'
    this.code = code
    this.isExpired = isExpired
  }
}

interface Peeked {
  readonly exp: number | undefined
  readonly hasRole: boolean
}

/** What the token says, whether it is true or not; undefined for what is no token. */
const peek = (token: string): Peeked | undefined => {
  try {
    const { exp, role } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
    return { exp: typeof exp === 'number' && Number.isFinite(exp) ? exp : undefined, hasRole: typeof role === 'string' }
  } catch {
    return undefined
  }
}

export const expired = (expiresAtMs: number, nowMs: number): RefusedToken => {
  const seconds = Math.max(0, Math.floor((nowMs - expiresAtMs) / 1000))
  return new RefusedToken('InvalidJWTToken', `Token has expired ${seconds} seconds ago`, { isExpired: true })
}

const malformed = (cause: unknown): RefusedToken =>
  new RefusedToken('MalformedJWT', 'The token provided is not a valid JWT', { cause })

const refused = (error: TokenError, token: string, nowMs: number): RefusedToken => {
  switch (error.reason) {
    case 'empty':
    case 'oversized':
    case 'malformed':
      return malformed(error)
    case 'signature':
    case 'key':
    case 'algorithm':
      return new RefusedToken('JwtSignatureError', 'Failed to validate JWT signature', { cause: error })
    case 'expired':
      return expired((peek(token)?.exp ?? 0) * 1000, nowMs)
    default:
      return new RefusedToken('InvalidJWTToken', error.message, { cause: error })
  }
}

const tokenErrorOf = (error: unknown): TokenError | undefined => {
  const inner = error instanceof ApiKeyError ? error.cause : error
  return isTokenError(inner) ? inner : undefined
}

/** A token that was verified of late has one caller: all who came with it share one object, for as long as any of them is there. */
const identities = new WeakMap<Caller, WeakRef<Identity>>()

const shared = (identity: Identity): Identity => {
  const known = identities.get(identity.caller)?.deref()
  if (known?.token === identity.token) return known
  identities.set(identity.caller, new WeakRef(identity))
  return identity
}

/**
 * Tells whose a key or a token is. A token has to say its role and when it ends, and counts until that very moment: what is told over a socket
 * goes on for as long as it does. Raises {@link RefusedToken}, and TM_AUTH_JWKS and TM_STATE_* where nothing can be said.
 */
export const identify = async (findCaller: FindCaller, token: string, nowMs: number): Promise<Identity> => {
  let caller: Caller
  try {
    caller = await findCaller({ apikey: token })
  } catch (error) {
    const tokenError = tokenErrorOf(error)
    if (tokenError && token.includes('.')) throw refused(tokenError, token, nowMs)
    if (tokenError || error instanceof ApiKeyError) throw malformed(error)
    throw error
  }
  if (!token.includes('.')) return shared({ token, caller, expiresAtMs: Number.POSITIVE_INFINITY })
  const said = peek(token)
  if (said?.exp === undefined || !said.hasRole)
    throw new RefusedToken('InvalidJWTToken', 'Fields `role` and `exp` are required in JWT')
  const expiresAtMs = said.exp * 1000
  if (expiresAtMs <= nowMs) throw expired(expiresAtMs, nowMs)
  return shared({ token, caller, expiresAtMs })
}

/** Whether the keys still vouch for a token: raises {@link RefusedToken}. That they cannot be had at the moment says nothing against it. */
export const confirm = async (
  { findCaller, clock, log }: Pick<Services, 'findCaller' | 'clock' | 'log'>,
  token: string,
): Promise<void> => {
  try {
    await identify(findCaller, token, clock.now())
  } catch (error) {
    if (error instanceof RefusedToken) throw error
    log.warn('a token could not be looked at again', { err: error })
  }
}
