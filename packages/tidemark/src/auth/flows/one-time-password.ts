import { z } from 'zod'
import { type AuthAnswer, nothing } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import { deliver, type MadeCode, makeCode, requireSender } from '../codes/send-code.js'
import {
  challengeFields,
  checkedChallenge,
  checkedEmail,
  checkedMetadata,
  checkedPhone,
  invalid,
  optionalMetadata,
  optionalText,
  readBody,
} from '../fields.js'
import { audit } from '../tables/audit.js'
import { insertFlowState } from '../tables/flow-states.js'
import type { Queryable } from '../tables/queryable.js'
import { refuseDuplicates } from '../tables/unique.js'
import { findUser, reloadUser } from '../tables/users.js'
import type { User } from '../user.js'
import { actorOf } from './actors.js'
import { alreadyRegistered, channelOf, checkSignupOpen, isConfirmed, type NewAccount, signUpAccount } from './sign-up.js'

const otpBody = z.object({
  email: optionalText,
  phone: optionalText,
  create_user: z
    .boolean()
    .nullish()
    .transform((value) => value ?? true),
  data: optionalMetadata,
  channel: optionalText,
  ...challengeFields,
})

const readAccount = (body: z.output<typeof otpBody>): NewAccount => {
  const rest = { data: checkedMetadata(body.data ?? {}), passwordHash: undefined }
  if (body.email !== '' && body.phone !== '') throw invalid('Only an email address or phone number should be provided')
  if (body.email !== '') {
    if (body.channel !== '') throw invalid('Channel should only be specified with Phone OTP')
    return { ...rest, provider: 'email', address: checkedEmail(body.email), channel: 'email', challenge: checkedChallenge(body) }
  }
  if (body.phone === '') throw invalid('One of email or phone must be set')
  const [channel, address] = [channelOf(body.channel), checkedPhone(body.phone)]
  return { ...rest, provider: 'phone', address, channel, challenge: undefined }
}

/** A code for somebody who is known. */
const codeForUser = async (
  context: AuthContext,
  db: Queryable,
  user: User,
  { provider, address, channel, challenge }: NewAccount,
  request: AuthRequest,
): Promise<MadeCode> => {
  await audit(db, { action: 'user_recovery_requested', actor: actorOf(user), ip: request.ip, traits: { channel } }, context.now())
  if (challenge) await insertFlowState(db, { userId: user.id, ...challenge, method: 'magiclink' }, context.now())
  const kind = provider === 'email' ? 'magiclink' : 'sms'
  return makeCode(context, db, { user, kind, channel, to: address, pkce: challenge !== undefined }, request)
}

/** Somebody new gets an account first. Where that is confirmed without further ado, the code is one to sign in with all the same. */
const codesFor = async (
  context: AuthContext,
  db: Queryable,
  account: NewAccount,
  createUser: boolean,
  request: AuthRequest,
): Promise<readonly MadeCode[]> => {
  const known = await findUser(db, account.provider, account.address, { lock: true })
  if (known && isConfirmed(known, account.provider)) return [await codeForUser(context, db, known, account, request)]
  if (!known) {
    if (!createUser) throw new AuthError(422, 'otp_disabled', 'Signups not allowed for otp')
    checkSignupOpen(context)
  }
  const { user, codes } = await signUpAccount(context, db, account, request)
  return codes.length > 0 ? codes : [await codeForUser(context, db, await reloadUser(db, user.id), account, request)]
}

/** `POST /otp`, and `/magiclink`: a code by mail or text message to sign in with. */
export const sendOneTimePassword = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  await context.limits.perIp('codes', request.ip)
  const body = readBody(otpBody, given)
  const account = readAccount(body)
  requireSender(context, account.channel)
  const codes = await refuseDuplicates(alreadyRegistered, () =>
    context.pool.transaction((db) => codesFor(context, db, account, body.create_user, request)),
  )
  await deliver(context, codes)
  return nothing
}
