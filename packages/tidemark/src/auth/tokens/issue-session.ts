import type { AuthContext } from '../auth-context.js'
import type { Queryable } from '../tables/queryable.js'
import { type AuthMethod, insertSession, methodsOf, type Sender } from '../tables/sessions.js'
import { reloadUser } from '../tables/users.js'
import { type User, userBody } from '../user.js'
import { signAccessToken } from './access-token.js'
import { drawToken, hashOf } from './opaque-token.js'

/** What a client gets that has signed in. */
export interface SessionBody {
  readonly access_token: string
  readonly token_type: 'bearer'
  readonly expires_in: number
  readonly expires_at: number
  readonly refresh_token: string
  readonly user: object
  readonly weak_password?: { readonly message: string; readonly reasons: readonly string[] }
}

/** The answer for a session whose refresh token is known. */
export const sessionBody = async (
  context: AuthContext,
  db: Queryable,
  session: { readonly user: User; readonly sessionId: string; readonly refreshToken: string },
): Promise<SessionBody> => {
  const { keyring, settings } = context
  const { user, sessionId, refreshToken } = session
  const issuedAtSeconds = Math.floor(context.now().getTime() / 1000)
  const expirySeconds = settings.jwtExpirySeconds
  const methods = await methodsOf(db, sessionId)
  const issuer = `${settings.externalUrl}/auth/v1`
  const { signing } = await keyring.current()
  return {
    access_token: await signAccessToken(signing, { user, sessionId, methods, issuer, issuedAtSeconds, expirySeconds }),
    token_type: 'bearer',
    expires_in: expirySeconds,
    expires_at: issuedAtSeconds + expirySeconds,
    refresh_token: refreshToken,
    user: userBody(user),
  }
}

/** Opens a session in the transaction that proved who it is. */
export const issueSession = async (
  context: AuthContext,
  db: Queryable,
  userId: string,
  method: AuthMethod,
  sender: Sender,
): Promise<SessionBody> => {
  const refreshToken = drawToken()
  const opening = { userId, method, tokenHash: hashOf(refreshToken), sender }
  const sessionId = await insertSession(db, opening, context.now())
  return sessionBody(context, db, { user: await reloadUser(db, userId), sessionId, refreshToken })
}
