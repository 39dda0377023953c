import { randomUUID } from 'node:crypto'
import type { SigningKey } from '../keys/key-set.js'
import type { SessionMethod } from '../tables/sessions.js'
import type { User } from '../user.js'

export interface AccessTokenInput {
  readonly user: User
  readonly sessionId: string
  readonly methods: readonly SessionMethod[]
  readonly issuer: string
  readonly issuedAtSeconds: number
  readonly expirySeconds: number
}

const claimsOf = ({ user, sessionId, methods, issuer, issuedAtSeconds, expirySeconds }: AccessTokenInput) => ({
  iss: issuer,
  sub: user.id,
  aud: user.aud ?? '',
  exp: issuedAtSeconds + expirySeconds,
  iat: issuedAtSeconds,
  email: user.email ?? '',
  phone: user.phone ?? '',
  app_metadata: user.raw_app_meta_data ?? {},
  user_metadata: user.raw_user_meta_data ?? {},
  role: user.role ?? '',
  aal: 'aal1',
  amr: methods,
  session_id: sessionId,
  is_anonymous: user.is_anonymous,
  // Two tokens of one second would be the same otherwise, and a client could not tell that it was given a new one.
  jti: randomUUID(),
})

/** The access token of a session, with the claims that GoTrue gives it, and a `jti`. */
export const signAccessToken = async (signing: SigningKey, input: AccessTokenInput): Promise<string> => {
  const { SignJWT } = await import('jose')
  const token = new SignJWT(claimsOf(input))
  return signing.alg === 'ES256'
    ? token.setProtectedHeader({ alg: 'ES256', kid: signing.kid, typ: 'JWT' }).sign(signing.key)
    : token.setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(new TextEncoder().encode(signing.secret))
}
