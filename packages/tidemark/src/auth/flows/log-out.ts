import type { AuthAnswer } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { invalid } from '../fields.js'
import { audit } from '../tables/audit.js'
import { endSessions } from '../tables/sessions.js'
import { actorOf } from './actors.js'
import type { SignedIn } from './signed-in.js'

/** `POST /logout`: ends all sessions of a user, this one, or the others. */
export const logOut = async (
  { pool, now }: AuthContext,
  { user, session }: SignedIn,
  scope: string,
  { ip }: AuthRequest,
): Promise<AuthAnswer> => {
  if (!['', 'global', 'local', 'others'].includes(scope))
    throw invalid(`Unsupported logout scope ${JSON.stringify(scope.slice(0, 32))}`)
  await pool.transaction(async (db) => {
    await audit(db, { action: 'logout', actor: actorOf(user), ip }, now())
    if (session && scope === 'local') await endSessions(db, { id: session.id })
    else await endSessions(db, { userId: user.id, ...(scope === 'others' && { except: session?.id }) })
  })
  return { status: 204 }
}
