import { z } from 'zod'
import type { AuthAnswer } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import { isCodeOf } from '../codes/one-time-code.js'
import { type Channel, deliver, type MadeCode, makeCode, requireSender } from '../codes/send-code.js'
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
import { checkPassword } from '../passwords/password-rules.js'
import { audit } from '../tables/audit.js'
import { clearFlowStates, insertFlowState } from '../tables/flow-states.js'
import { clearOneTimeTokens, oneTimeTokenOf, takeOneTimeToken } from '../tables/one-time-tokens.js'
import type { Queryable } from '../tables/queryable.js'
import { endSessions } from '../tables/sessions.js'
import { refuseDuplicates } from '../tables/unique.js'
import { findUser, reloadUser, updateUser } from '../tables/users.js'
import { hasPassword, mergeMetadata, type User, userBody } from '../user.js'
import { actorOf } from './actors.js'
import { confirmEmailChange, confirmPhoneChange, noteProviders } from './confirm.js'
import { channelOf } from './sign-up.js'
import type { SignedIn } from './signed-in.js'

const updateBody = z.object({
  email: optionalText,
  phone: optionalText,
  password: z.string().nullish(),
  nonce: optionalText,
  data: optionalMetadata,
  app_metadata: optionalMetadata,
  channel: optionalText,
  ...challengeFields,
})

interface Update {
  /** Only where it differs from the one so far. */
  readonly email: string | undefined
  readonly phone: string | undefined
  readonly password: string | undefined
  readonly nonce: string
  readonly data: ReturnType<typeof checkedMetadata> | undefined
  readonly smsChannel: 'sms' | 'whatsapp'
  readonly challenge: ReturnType<typeof checkedChallenge>
}

const readUpdate = (given: unknown, user: User, { settings }: AuthContext): Update => {
  const body = readBody(updateBody, given)
  const email = body.email === '' ? undefined : checkedEmail(body.email)
  const phone = body.phone === '' ? undefined : checkedPhone(body.phone)
  const password = body.password ?? undefined
  if (password !== undefined) checkPassword(password, settings)
  if (body.app_metadata !== undefined) throw new AuthError(403, 'not_admin', 'Updating app_metadata requires admin privileges')
  if (user.is_anonymous && password !== undefined && email === undefined && phone === undefined)
    throw invalid('Updating password of an anonymous user without an email or phone is not allowed', 422)
  return {
    email: email === user.email?.toLowerCase() ? undefined : email,
    phone: phone === user.phone ? undefined : phone,
    password,
    nonce: body.nonce,
    data: body.data && checkedMetadata(mergeMetadata(user.raw_user_meta_data, body.data)) && body.data,
    smsChannel: channelOf(body.channel),
    challenge: checkedChallenge(body),
  }
}

const emailTaken = (): AuthError =>
  new AuthError(422, 'email_exists', 'A user with this email address has already been registered')
const phoneTaken = (): AuthError =>
  new AuthError(422, 'phone_exists', 'A user with this phone number has already been registered')

const checkFree = async ({ pool }: AuthContext, { email, phone }: Update): Promise<void> => {
  if (email !== undefined && (await findUser(pool, 'email', email))) throw emailTaken()
  if (phone !== undefined && (await findUser(pool, 'phone', phone))) throw phoneTaken()
}

const recentMs = 24 * 3_600_000

/** Whether a new password needs a code: the session is not one that was opened a while ago. */
const needsCode = ({ settings, now }: AuthContext, { session }: SignedIn): boolean =>
  settings.passwordChangeNeedsCode && (!session || now().getTime() - session.created_at.getTime() > recentMs)

const takeNonce = async (context: AuthContext, user: User, nonce: string): Promise<void> => {
  if (nonce === '') throw new AuthError(400, 'reauthentication_needed', 'Password update requires reauthentication')
  const { pool, keyring, settings, limits, now } = context
  const { secrets } = await keyring.current()
  const taken = await limits.attempt(`code:${user.id}`, async () => {
    const token = await oneTimeTokenOf(pool, user.id, 'reauthentication_token')
    const alive = token !== null && now().getTime() <= token.created_at.getTime() + settings.codeTtlMs
    return alive && isCodeOf(secrets, nonce.replace(/[\s-]/g, ''), token) && (await takeOneTimeToken(pool, token))
  })
  if (!taken) throw new AuthError(422, 'reauthentication_not_valid', 'Nonce has expired or is invalid')
}

/** The hash of a new password, made before the transaction begins: that takes a while. */
const newHash = async (context: AuthContext, signedIn: SignedIn, update: Update): Promise<string | undefined> => {
  const { user } = signedIn
  if (update.password === undefined) return undefined
  if (needsCode(context, signedIn)) await takeNonce(context, user, update.nonce)
  const same = hasPassword(user) && (await context.passwords.verify(update.password, user.encrypted_password)).matches
  if (same) throw new AuthError(422, 'same_password', 'New password should be different from the old password.')
  return context.passwords.hash(update.password)
}

/** Whoever knew the old password is out: its codes, and its other sessions. */
export const setPassword = async (
  db: Queryable,
  userId: string,
  hash: string,
  keepSession: string | undefined,
  now: Date,
): Promise<void> => {
  await updateUser(db, userId, { encrypted_password: hash }, now)
  await clearOneTimeTokens(db, userId)
  await clearFlowStates(db, userId)
  await endSessions(db, { userId, except: keepSession })
}

/** Codes for a change of address, to all who have to agree. Whoever agreed before is asked again: what is kept does not say which of them that was. */
export const emailChangeCodes = async (
  context: AuthContext,
  db: Queryable,
  { user, to, pkce = false }: { readonly user: User; readonly to: string; readonly pkce?: boolean },
  request: AuthRequest,
): Promise<readonly MadeCode[]> => {
  const { settings, now } = context
  await updateUser(db, user.id, { email_change_confirm_status: 0 }, now())
  const shared = { user, channel: 'email', pkce } as const
  const codes = [await makeCode(context, db, { ...shared, kind: 'email_change_new', to }, request)]
  if (settings.doubleConfirmEmailChange && !settings.autoconfirm && user.email)
    codes.push(await makeCode(context, db, { ...shared, kind: 'email_change_current', to: user.email.toLowerCase() }, request))
  return codes
}

const changeEmail = async (
  context: AuthContext,
  db: Queryable,
  user: User,
  update: Update,
  request: AuthRequest,
): Promise<readonly MadeCode[]> => {
  const { settings, now } = context
  const email = update.email!
  if (user.is_anonymous && settings.autoconfirm) {
    await confirmEmailChange(db, user, email, now())
    return []
  }
  if (update.challenge) await insertFlowState(db, { userId: user.id, ...update.challenge, method: 'email_change' }, now())
  await updateUser(db, user.id, { email_change: email }, now())
  return emailChangeCodes(context, db, { user, to: email, pkce: update.challenge !== undefined }, request)
}

const changePhone = async (
  context: AuthContext,
  db: Queryable,
  user: User,
  update: Update,
  request: AuthRequest,
): Promise<readonly MadeCode[]> => {
  const { settings, now } = context
  const phone = update.phone!
  if (settings.autoconfirm) {
    await confirmPhoneChange(db, user, phone, now())
    return []
  }
  await updateUser(db, user.id, { phone_change: phone }, now())
  return [await makeCode(context, db, { user, kind: 'phone_change', channel: update.smsChannel, to: phone }, request)]
}

/** Which ways of sending an update needs, so that nothing is written where one is missing. */
const channelsNeeded = ({ settings }: AuthContext, user: User, { email, phone, smsChannel }: Update): readonly Channel[] => [
  ...(email !== undefined && !(user.is_anonymous && settings.autoconfirm) ? (['email'] as const) : []),
  ...(phone !== undefined && !settings.autoconfirm ? [smsChannel] : []),
]

const applyUpdate = async (
  context: AuthContext,
  db: Queryable,
  { user: { id }, session }: SignedIn,
  update: Update,
  hash: string | undefined,
  request: AuthRequest,
): Promise<readonly MadeCode[]> => {
  const { now } = context
  const user = await findUser(db, 'id', id, { lock: true })
  if (!user) throw new AuthError(403, 'user_not_found', 'User from sub claim in JWT does not exist')
  const entry = { actor: actorOf(user), ip: request.ip }
  if (hash !== undefined) {
    await setPassword(db, id, hash, session?.id, now())
    await audit(db, { action: 'user_updated_password', ...entry }, now())
  }
  if (update.data) {
    await updateUser(db, id, { raw_user_meta_data: checkedMetadata(mergeMetadata(user.raw_user_meta_data, update.data)) }, now())
  }
  const codes: MadeCode[] = []
  if (update.email !== undefined) codes.push(...(await changeEmail(context, db, await reloadUser(db, id), update, request)))
  if (update.phone !== undefined) codes.push(...(await changePhone(context, db, await reloadUser(db, id), update, request)))
  if (update.email !== undefined || update.phone !== undefined) await noteProviders(context, db, await reloadUser(db, id))
  await audit(db, { action: 'user_modified', ...entry }, now())
  return codes
}

/** `PUT /user`: password, metadata, and the change of an address, which its owner has to confirm. */
export const updateOwnUser = async (
  context: AuthContext,
  signedIn: SignedIn,
  given: unknown,
  request: AuthRequest,
): Promise<AuthAnswer> => {
  const update = readUpdate(given, signedIn.user, context)
  for (const channel of channelsNeeded(context, signedIn.user, update)) requireSender(context, channel)
  await checkFree(context, update)
  const hash = await newHash(context, signedIn, update)
  const duplicate = update.email === undefined ? phoneTaken : emailTaken
  const codes = await refuseDuplicates(duplicate, () =>
    context.pool.transaction((db) => applyUpdate(context, db, signedIn, update, hash, request)),
  )
  await deliver(context, codes)
  return { body: userBody(await reloadUser(context.pool, signedIn.user.id)) }
}
