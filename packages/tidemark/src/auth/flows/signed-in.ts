import type { AuthContext } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import type { Caller } from '../caller.js'
import { isUuid } from '../fields.js'
import { findSession, type Session } from '../tables/sessions.js'
import { findUser } from '../tables/users.js'
import { isBanned, type User } from '../user.js'

/** A user with the session that a token names; tokens that an application signs itself name none. */
export interface SignedIn {
  readonly user: User
  readonly session: Session | undefined
}

const badToken = (message: string): AuthError => new AuthError(403, 'bad_jwt', message)

/** Whom a verified token speaks of, as long as that user and that session are there. Raises AuthError. */
export const signedInOf = async ({ pool, now }: AuthContext, { claims }: Caller): Promise<SignedIn> => {
  const { sub, session_id: sessionId } = claims
  if (typeof sub !== 'string' || sub === '') throw badToken('invalid claim: missing sub claim')
  if (!isUuid(sub)) throw new AuthError(400, 'bad_jwt', 'invalid claim: sub claim must be a UUID')
  const user = await findUser(pool, 'id', sub)
  if (!user || user.deleted_at !== null) throw new AuthError(403, 'user_not_found', 'User from sub claim in JWT does not exist')
  if (isBanned(user, now())) throw new AuthError(403, 'user_banned', 'User is banned')
  if (sessionId === undefined || sessionId === null || sessionId === '') return { user, session: undefined }
  if (typeof sessionId !== 'string' || !isUuid(sessionId)) throw badToken('invalid claim: session_id claim must be a UUID')
  const session = await findSession(pool, sessionId)
  if (!session || session.user_id !== user.id)
    throw new AuthError(403, 'session_not_found', 'Session from session_id claim in JWT does not exist')
  return { user, session }
}
