import { z } from 'zod'
import type { AuthAnswer } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError, isAuthError } from '../auth-error.js'
import { isCodeOf, pkcePrefix } from '../codes/one-time-code.js'
import { checkedEmail, checkedPhone, invalid, optionalText, readBody } from '../fields.js'
import { audit } from '../tables/audit.js'
import { latestFlowState, setAuthCode } from '../tables/flow-states.js'
import {
  findOneTimeToken,
  type OneTimeToken,
  type OneTimeTokenType,
  oneTimeTokenOf,
  oneTimeTokensFor,
  takeOneTimeToken,
} from '../tables/one-time-tokens.js'
import type { Queryable } from '../tables/queryable.js'
import type { AuthMethod } from '../tables/sessions.js'
import { refuseDuplicates } from '../tables/unique.js'
import { findUser, reloadUser, updateUser } from '../tables/users.js'
import { issueSession, type SessionBody } from '../tokens/issue-session.js'
import { drawToken, hashOf } from '../tokens/opaque-token.js'
import { isBanned, type User } from '../user.js'
import { actorOf } from './actors.js'
import { confirmEmail, confirmEmailChange, confirmPhone, confirmPhoneChange, noteProviders } from './confirm.js'

const verifyBody = z.object({
  type: optionalText,
  token: optionalText,
  token_hash: optionalText,
  email: optionalText,
  phone: optionalText,
  redirect_to: optionalText,
})

const emailTypes: Readonly<Record<string, readonly OneTimeTokenType[]>> = {
  signup: ['confirmation_token'],
  invite: ['confirmation_token'],
  recovery: ['recovery_token'],
  magiclink: ['recovery_token'],
  email: ['confirmation_token', 'recovery_token'],
  email_change: ['email_change_token_current', 'email_change_token_new'],
}
const phoneTypes: Readonly<Record<string, readonly OneTimeTokenType[]>> = {
  sms: ['confirmation_token'],
  phone_change: ['phone_change_token'],
}

const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

/** How a link's type is named in a flow, and in the token of the session that comes of it. */
const linkMethods: Readonly<Record<string, AuthMethod>> = {
  signup: 'email/signup',
  invite: 'invite',
  recovery: 'recovery',
  magiclink: 'magiclink',
  email_change: 'email_change',
}

const expired = (link: boolean): AuthError =>
  new AuthError(403, 'otp_expired', link ? 'Email link is invalid or has expired' : 'Token has expired or is invalid')

/** How a token is recognised: by the code that was typed in, or by the token of a link. */
type Proof =
  | { readonly by: 'code'; readonly code: string; readonly address: string; readonly types: readonly OneTimeTokenType[] }
  | { readonly by: 'link'; readonly token: string; readonly types: readonly OneTimeTokenType[] }

const readProof = (given: unknown): Proof => {
  const { type, token, token_hash, email, phone, redirect_to } = readBody(verifyBody, given)
  if (type === '') throw invalid('Verify requires a verification type')
  if ((token === '') === (token_hash === '')) throw invalid('Verify requires either a token or a token hash')
  if (token_hash !== '') {
    if (email !== '' || phone !== '' || redirect_to !== '') throw invalid('Only the token_hash and type should be provided')
    const types = own(emailTypes, type)
    if (!types) throw invalid('Invalid email verification type')
    return { by: 'link', token: token_hash, types }
  }
  if ((email === '') === (phone === '')) throw invalid('Only an email address or phone number should be provided on verify')
  const address = email === '' ? checkedPhone(phone) : checkedEmail(email)
  const types = own(email === '' ? phoneTypes : emailTypes, type)
  if (!types) throw invalid('Unsupported verification type')
  return { by: 'code', code: token.replace(/[\s-]/g, ''), address, types }
}

/** The kept token that a proof is of, where it still counts. */
const findProven = async ({ keyring }: AuthContext, db: Queryable, proof: Proof): Promise<OneTimeToken | undefined> => {
  if (proof.by === 'link') return (await findOneTimeToken(db, hashOf(proof.token), proof.types)) ?? undefined
  const { secrets } = await keyring.current()
  const candidates = await oneTimeTokensFor(db, proof.address, proof.types)
  return candidates.find((token) => isCodeOf(secrets, proof.code, token))
}

/** Whether both addresses must agree to a change of email, and this is the first that does. */
const isFirstOfTwo = async ({ settings }: AuthContext, db: Queryable, user: User, token: OneTimeToken): Promise<boolean> => {
  if (settings.autoconfirm || !settings.doubleConfirmEmailChange || !user.email) return false
  if (user.email_change_confirm_status === 1) return false
  const other = token.token_type === 'email_change_token_new' ? 'email_change_token_current' : 'email_change_token_new'
  return (await oneTimeTokenOf(db, user.id, other)) !== null || token.token_type === 'email_change_token_current'
}

/** The address that a token of this type speaks of now. One that went to an earlier address proves nothing any more. */
const addressesOf = (user: User, type: OneTimeTokenType): readonly (string | null)[] => {
  if (type === 'confirmation_token') return [user.email, user.phone]
  if (type === 'email_change_token_new') return [user.email_change]
  return [type === 'phone_change_token' ? user.phone_change : user.email]
}

/** Does what a token was for. False where another token is needed as well. */
const fulfil = async (context: AuthContext, db: Queryable, user: User, token: OneTimeToken): Promise<boolean> => {
  const now = context.now()
  switch (token.token_type) {
    case 'phone_change_token':
      await confirmPhoneChange(db, user, token.relates_to, now)
      return true
    case 'email_change_token_current':
    case 'email_change_token_new':
      if (!user.email_change) return false
      if (await isFirstOfTwo(context, db, user, token)) {
        await updateUser(db, user.id, { email_change_confirm_status: 1 }, now)
        return false
      }
      await confirmEmailChange(db, user, user.email_change, now)
      return true
    case 'confirmation_token':
      await (token.relates_to === user.phone ? confirmPhone(db, user, now) : confirmEmail(db, user, now))
      return true
    case 'recovery_token':
      if (user.email_confirmed_at === null) await confirmEmail(db, user, now)
      return true
    case 'reauthentication_token':
      return false
  }
}

const taken = (type: OneTimeTokenType): AuthError =>
  type === 'phone_change_token'
    ? new AuthError(422, 'phone_exists', 'A user with this phone number has already been registered')
    : new AuthError(422, 'email_exists', 'A user with this email address has already been registered')

/** Uses a token up. Gives its user, or undefined where the other half of a double confirmation is still missing. */
const redeem = async (
  context: AuthContext,
  db: Queryable,
  token: OneTimeToken,
  proof: Proof,
  request: AuthRequest,
): Promise<User | undefined> => {
  const user = await findUser(db, 'id', token.user_id, { lock: true })
  const isAlive = context.now().getTime() <= token.created_at.getTime() + context.settings.codeTtlMs
  const concerned = user && addressesOf(user, token.token_type).some((address) => address?.toLowerCase() === token.relates_to)
  if (!user || !concerned || !isAlive || !(await takeOneTimeToken(db, token))) throw expired(proof.by === 'link')
  if (isBanned(user, context.now())) throw new AuthError(403, 'user_banned', 'User is banned')
  const confirmed = user.email_confirmed_at ?? user.phone_confirmed_at
  const isChange = token.token_type.startsWith('email_change') || token.token_type === 'phone_change_token'
  const action = isChange ? 'user_modified' : confirmed === null ? 'user_signedup' : 'login'
  const complete = await refuseDuplicates(
    () => taken(token.token_type),
    () => fulfil(context, db, user, token),
  )
  await audit(db, { action, actor: actorOf(user), ip: request.ip }, context.now())
  if (!complete) return undefined
  await noteProviders(context, db, await reloadUser(db, user.id))
  return user
}

const singleConfirmation = 'Confirmation link accepted. Please proceed to confirm link sent to the other email'

/** `POST /verify`: a code, or the token of a link, for a session. */
export const verifyCode = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  await context.limits.perIp('verifications', request.ip)
  const proof = readProof(given)
  const work = async (): Promise<SessionBody | 'half' | false> => {
    const token = await findProven(context, context.pool, proof)
    if (!token) return false
    return context.pool.transaction(async (db) => {
      const user = await redeem(context, db, token, proof, request)
      return user ? issueSession(context, db, user.id, 'otp', request) : 'half'
    })
  }
  const done = proof.by === 'code' ? await context.limits.attempt(`code:${proof.address}`, work) : await work()
  if (done === false) throw expired(proof.by === 'link')
  return { body: done === 'half' ? { msg: singleConfirmation, code: '200' } : done }
}

const verifyQuery = z.object({ type: optionalText, token: optionalText, token_hash: optionalText })

const withFragment = (url: string, parameters: Readonly<Record<string, string>>, inQuery: boolean): string => {
  const target = new URL(url)
  if (inQuery) for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value)
  target.hash = new URLSearchParams(parameters).toString()
  return target.href
}

const oauthErrors: Readonly<Record<number, string>> = {
  400: 'invalid_request',
  401: 'unauthorized_client',
  403: 'access_denied',
  500: 'server_error',
  503: 'temporarily_unavailable',
}

const errorTarget = (error: AuthError, redirectTo: string, pkce: boolean): string =>
  withFragment(
    redirectTo,
    {
      ...(oauthErrors[error.status] !== undefined && { error: oauthErrors[error.status]! }),
      error_code: error.code,
      error_description: error.message,
    },
    pkce,
  )

const sessionTarget = (session: SessionBody, type: string, redirectTo: string): string =>
  withFragment(
    redirectTo,
    {
      access_token: session.access_token,
      expires_at: String(session.expires_at),
      expires_in: String(session.expires_in),
      refresh_token: session.refresh_token,
      token_type: session.token_type,
      type,
    },
    false,
  )

/** The code with which the browser that began the flow gets its session. */
const issueAuthCode = async ({ settings, now }: AuthContext, db: Queryable, userId: string, type: string): Promise<string> => {
  const flow = await latestFlowState(db, userId, linkMethods[type] ?? 'magiclink')
  const alive = flow !== null && now().getTime() - flow.created_at.getTime() <= settings.codeTtlMs
  if (!alive) throw new AuthError(400, 'flow_state_not_found', 'No associated flow state found')
  const code = drawToken()
  await setAuthCode(db, flow.id, hashOf(code), now())
  return code
}

const followLink = async (context: AuthContext, token: string, type: string, request: AuthRequest): Promise<string> => {
  const { redirectTo } = request
  const pkce = token.startsWith(pkcePrefix)
  const types = own(emailTypes, type)
  if (!types || type === 'email') throw invalid('Invalid email verification type')
  const proof: Proof = { by: 'link', token, types }
  const kept = await findProven(context, context.pool, proof)
  if (!kept) throw expired(true)
  return context.pool.transaction(async (db) => {
    const user = await redeem(context, db, kept, proof, request)
    if (!user) return withFragment(redirectTo, { message: singleConfirmation }, pkce)
    if (!pkce) return sessionTarget(await issueSession(context, db, user.id, 'otp', request), type, redirectTo)
    const target = new URL(redirectTo)
    target.searchParams.set('code', await issueAuthCode(context, db, user.id, type))
    return target.href
  })
}

/** `GET /verify`: a link was followed. Ends at the application, with a session, a code or an error in its address. */
export const verifyLink = async (context: AuthContext, query: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  const parsed = readBody(verifyQuery, query)
  const token = parsed.token === '' ? parsed.token_hash : parsed.token
  if (parsed.type === '') throw invalid('Verify requires a verification type')
  if (token === '') throw invalid('Verify requires a token or a token hash')
  try {
    await context.limits.perIp('verifications', request.ip)
    const location = await followLink(context, token, parsed.type, request)
    return { status: 303, headers: { location } }
  } catch (error) {
    if (!isAuthError(error)) throw error
    return { status: 303, headers: { location: errorTarget(error, request.redirectTo, token.startsWith(pkcePrefix)) } }
  }
}
