import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { AuthAnswer } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import { invalid, optionalText, readBody } from '../fields.js'
import { audit } from '../tables/audit.js'
import { deleteFlowState, type FlowState, flowStateOfCode } from '../tables/flow-states.js'
import { findUser } from '../tables/users.js'
import { issueSession } from '../tokens/issue-session.js'
import { hashOf } from '../tokens/opaque-token.js'
import { isBanned } from '../user.js'
import { actorOf } from './actors.js'

const exchangeBody = z.object({ auth_code: optionalText, code_verifier: optionalText })

/** How long the code in the address of a redirect counts. */
const codeTtlMs = 300_000

const equal = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

const isVerifierOf = ({ code_challenge, code_challenge_method }: FlowState, verifier: string): boolean => {
  const made = code_challenge_method === 's256' ? createHash('sha256').update(verifier).digest('base64url') : verifier
  return equal(made, code_challenge.replace(/=+$/, ''))
}

/** `POST /token?grant_type=pkce`: the code that a link ended in, and the secret of the browser in which all began. */
export const exchangeCode = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  const { pool, limits, now } = context
  await limits.perIp('signIns', request.ip)
  const { auth_code: code, code_verifier: verifier } = readBody(exchangeBody, given)
  if (code === '' || verifier === '') throw invalid('invalid request: both auth code and code verifier should be non-empty')
  const body = await pool.transaction(async (db) => {
    const flow = await flowStateOfCode(db, hashOf(code))
    const user = flow?.user_id ? await findUser(db, 'id', flow.user_id) : null
    if (!flow || !user) throw new AuthError(404, 'flow_state_not_found', 'invalid flow state, no valid flow state found')
    if (now().getTime() - (flow.auth_code_issued_at?.getTime() ?? 0) > codeTtlMs)
      throw new AuthError(422, 'flow_state_expired', 'invalid flow state, flow state has expired')
    if (!isVerifierOf(flow, verifier))
      throw new AuthError(400, 'bad_code_verifier', 'code challenge does not match previously saved code verifier')
    if (isBanned(user, now())) throw new AuthError(403, 'user_banned', 'User is banned')
    await deleteFlowState(db, flow.id)
    const traits = { provider_type: flow.authentication_method }
    await audit(db, { action: 'login', actor: actorOf(user), ip: request.ip, traits }, now())
    return issueSession(context, db, user.id, flow.authentication_method, request)
  })
  return { body }
}
