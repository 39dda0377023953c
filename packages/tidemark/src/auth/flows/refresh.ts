import { z } from 'zod'
import { sqlstateOf } from '../../postgres/postgres.js'
import type { AuthAnswer } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import { invalid, optionalText, readBody } from '../fields.js'
import { audit } from '../tables/audit.js'
import type { Queryable } from '../tables/queryable.js'
import { findRefreshToken, type RefreshToken, rotateRefreshToken } from '../tables/refresh-tokens.js'
import { endSessions, noteRefresh, sessionOfToken } from '../tables/sessions.js'
import { findUser } from '../tables/users.js'
import { type SessionBody, sessionBody } from '../tokens/issue-session.js'
import { drawToken, hashOf, sealFor, unseal } from '../tokens/opaque-token.js'
import { isBanned, type User } from '../user.js'
import { actorOf } from './actors.js'

const refreshBody = z.object({ refresh_token: optionalText })

const refused = (code: string, why: string): AuthError => new AuthError(400, code, `Invalid Refresh Token: ${why}`)
const notFound = (): AuthError => refused('refresh_token_not_found', 'Refresh Token Not Found')

/** How long a refresh waits for another one of the same session. */
const lockTimeoutMs = 5_000
/** Tokens of one session that can have followed each other within the reuse interval. */
const maxChain = 200

interface Presented {
  /** As the client sent it. */
  readonly text: string
  readonly token: RefreshToken
  readonly user: User
}

/** The token that is active now, for the holder of an older one; undefined where the way to it is lost. */
const followToActive = async (db: Queryable, { text, token }: Presented) => {
  let [heldText, held] = [text, token]
  for (let step = 0; step < maxChain && held.revoked; step += 1) {
    const nextText = held.successor === null ? undefined : unseal(heldText, held.successor)
    const next = nextText === undefined ? null : await findRefreshToken(db, hashOf(nextText))
    if (nextText === undefined || !next) return undefined
    ;[heldText, held] = [nextText, next]
  }
  return held.revoked ? undefined : { text: heldText, token: held }
}

/** The used token of a client that asked twice, or never got the answer; undefined for anyone else. */
const reused = async ({ settings, now }: AuthContext, db: Queryable, presented: Presented): Promise<string | undefined> => {
  const active = await followToActive(db, presented)
  if (!active) return undefined
  const usedForMs = now().getTime() - presented.token.updated_at.getTime()
  const lostAnswer = settings.refreshAfterLostAnswer && active.token.parent === presented.token.token
  return usedForMs < settings.refreshReuseIntervalMs || lostAnswer ? active.text : undefined
}

const rotate = async ({ settings, now }: AuthContext, db: Queryable, { text, token, user }: Presented): Promise<string> => {
  const fresh = drawToken()
  const keepSince = new Date(now().getTime() - settings.refreshReuseIntervalMs)
  const rotation = { from: token, userId: user.id, to: hashOf(fresh), successor: sealFor(text, fresh), keepSince }
  await rotateRefreshToken(db, rotation, now())
  return fresh
}

/** Under the lock of the session, so that two refreshes of it come one after the other. */
const present = async ({ now }: AuthContext, db: Queryable, text: string): Promise<Presented> => {
  const session = await sessionOfToken(db, hashOf(text))
  if (!session) throw notFound()
  const token = await findRefreshToken(db, hashOf(text))
  const user = await findUser(db, 'id', session.user_id)
  if (!token || !user) throw notFound()
  if (isBanned(user, now())) throw refused('user_banned', 'User Banned')
  if (session.not_after !== null && session.not_after < now()) throw refused('session_expired', 'Session Expired')
  return { text, token, user }
}

const refreshIn = async (
  context: AuthContext,
  db: Queryable,
  text: string,
  request: AuthRequest,
): Promise<SessionBody | undefined> => {
  const presented = await present(context, db, text)
  const { token, user } = presented
  const entry = { actor: actorOf(user), ip: request.ip }
  const next = token.revoked ? await reused(context, db, presented) : await rotate(context, db, presented)
  if (next === undefined) {
    // One of two who hold this token has stolen it. Nobody can tell which, so the whole session goes.
    await audit(db, { action: 'token_revoked', ...entry }, context.now())
    await endSessions(db, { id: token.session_id })
    return undefined
  }
  await audit(db, { action: 'token_refreshed', ...entry }, context.now())
  await noteRefresh(db, token.session_id, request, context.now())
  return sessionBody(context, db, { user, sessionId: token.session_id, refreshToken: next })
}

/** `POST /token?grant_type=refresh_token` */
export const refreshSession = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  const { pool, limits, share } = context
  await limits.perIp('refreshes', request.ip)
  const { refresh_token: text } = readBody(refreshBody, given)
  if (text === '') throw invalid('refresh_token required')
  const settings = { lock_timeout: `${lockTimeoutMs}ms` }
  try {
    // Tabs that wake up together hold one connection between them, not one each.
    const body = await share(`refresh:${hashOf(text)}`, () =>
      pool.transaction((db) => refreshIn(context, db, text, request), { settings }),
    )
    if (!body) throw refused('refresh_token_already_used', 'Already Used')
    return { body }
  } catch (error) {
    if (sqlstateOf(error) !== '55P03') throw error
    const message = 'Too many concurrent token refresh requests on the same session or refresh token'
    throw new AuthError(409, 'conflict', message, { cause: error })
  }
}
