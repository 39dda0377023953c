import { z } from 'zod'
import { type AuthAnswer, nothing } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import { type CodeKind, deliver, type MadeCode, makeCode, requireSender } from '../codes/send-code.js'
import { challengeFields, checkedChallenge, checkedEmail, checkedPhone, invalid, optionalText, readBody } from '../fields.js'
import { audit } from '../tables/audit.js'
import { insertFlowState } from '../tables/flow-states.js'
import { findUser } from '../tables/users.js'
import type { User } from '../user.js'
import { actorOf } from './actors.js'
import { emailChangeCodes } from './update-user.js'

const recoverBody = z.object({ email: optionalText, ...challengeFields })

/** `POST /recover`: a code for somebody who forgot the password. Says the same whether there is such a user or not. */
export const sendRecovery = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  await context.limits.perIp('codes', request.ip)
  const body = readBody(recoverBody, given)
  if (body.email === '') throw invalid('Password recovery requires an email')
  const [email, challenge] = [checkedEmail(body.email), checkedChallenge(body)]
  requireSender(context, 'email')
  const code = await context.pool.transaction(async (db) => {
    const user = await findUser(db, 'email', email, { lock: true })
    if (!user) return undefined
    await audit(db, { action: 'user_recovery_requested', actor: actorOf(user), ip: request.ip }, context.now())
    if (challenge) await insertFlowState(db, { userId: user.id, ...challenge, method: 'recovery' }, context.now())
    const wanted = { user, kind: 'recovery', channel: 'email', to: email, pkce: challenge !== undefined } as const
    return makeCode(context, db, wanted, request)
  })
  if (code) await deliver(context, [code])
  return nothing
}

const resendBody = z.object({ type: optionalText, email: optionalText, phone: optionalText, ...challengeFields })

type ResendType = 'signup' | 'email_change' | 'sms' | 'phone_change'

const isResendType = (type: string): type is ResendType => ['signup', 'email_change', 'sms', 'phone_change'].includes(type)

interface Resend {
  readonly type: ResendType
  readonly by: 'email' | 'phone'
  readonly address: string
}

const readResend = (given: unknown): Resend => {
  const { type, email, phone } = readBody(resendBody, given)
  if (!isResendType(type)) throw invalid('Missing one of these types: signup, email_change, sms, phone_change')
  if (email === '' && type === 'signup') throw invalid('Type provided requires an email address')
  if (phone === '' && type === 'sms') throw invalid('Type provided requires a phone number')
  if (email !== '' && phone !== '') throw invalid('Only an email address or phone number should be provided.')
  if (email !== '') return { type, by: 'email', address: checkedEmail(email) }
  if (phone !== '') return { type, by: 'phone', address: checkedPhone(phone) }
  throw invalid('Missing email address or phone number')
}

/** What there is to be sent once more, a change of email apart. */
const pendingOf = (user: User, { type }: Resend): readonly { readonly kind: CodeKind; readonly to: string }[] => {
  if (type === 'signup') return user.email_confirmed_at === null && user.email ? [{ kind: 'signup', to: user.email }] : []
  if (type === 'sms') return user.phone_confirmed_at === null && user.phone ? [{ kind: 'sms', to: user.phone }] : []
  return type === 'phone_change' && user.phone_change ? [{ kind: 'phone_change', to: user.phone_change }] : []
}

/** `POST /resend`: the last code once more, which is then another one. */
export const resendCode = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  await context.limits.perIp('codes', request.ip)
  const resend = readResend(given)
  const channel = resend.type === 'sms' || resend.type === 'phone_change' ? 'sms' : 'email'
  requireSender(context, channel)
  const codes = await context.pool.transaction(async (db) => {
    const user = await findUser(db, resend.by, resend.address, { lock: true })
    const made: MadeCode[] = []
    if (!user) return made
    for (const { kind, to } of pendingOf(user, resend)) {
      await audit(db, { action: 'user_confirmation_requested', actor: actorOf(user), ip: request.ip }, context.now())
      made.push(await makeCode(context, db, { user, kind, channel, to }, request))
    }
    if (resend.type !== 'email_change' || !user.email_change) return made
    await audit(db, { action: 'user_confirmation_requested', actor: actorOf(user), ip: request.ip }, context.now())
    return emailChangeCodes(context, db, { user, to: user.email_change }, request)
  })
  await deliver(context, codes)
  return nothing
}

/** `GET /reauthenticate`: a code with which a user in an old session may set a new password. */
export const sendReauthentication = async (context: AuthContext, user: User, request: AuthRequest): Promise<AuthAnswer> => {
  await context.limits.perIp('codes', request.ip)
  const [to, channel] = user.email ? ([user.email, 'email'] as const) : ([user.phone ?? '', 'sms'] as const)
  if (to === '') throw invalid('Reauthentication requires the user to have an email or a phone number')
  if (channel === 'email' && user.email_confirmed_at === null)
    throw new AuthError(422, 'email_not_confirmed', 'Please verify your email first.')
  if (channel === 'sms' && user.phone_confirmed_at === null)
    throw new AuthError(422, 'phone_not_confirmed', 'Please verify your phone first.')
  requireSender(context, channel)
  const code = await context.pool.transaction(async (db) => {
    const current = await findUser(db, 'id', user.id, { lock: true })
    if (!current) return undefined
    await audit(db, { action: 'user_reauthenticate_requested', actor: actorOf(user), ip: request.ip }, context.now())
    return makeCode(context, db, { user: current, kind: 'reauthentication', channel, to }, request)
  })
  if (code) await deliver(context, [code])
  return nothing
}
