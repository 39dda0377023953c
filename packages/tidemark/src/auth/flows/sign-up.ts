import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { AuthAnswer } from '../answer.js'
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
import { checkPassword } from '../passwords/password-rules.js'
import { audit } from '../tables/audit.js'
import { insertFlowState } from '../tables/flow-states.js'
import { putIdentity } from '../tables/identities.js'
import type { Queryable } from '../tables/queryable.js'
import { refuseDuplicates } from '../tables/unique.js'
import { findUser, insertUser, reloadUser } from '../tables/users.js'
import { issueSession, type SessionBody } from '../tokens/issue-session.js'
import { type Metadata, type User, userBody } from '../user.js'
import { actorOf } from './actors.js'
import { confirmEmail, confirmPhone } from './confirm.js'

const signUpBody = z.object({
  email: optionalText,
  phone: optionalText,
  password: optionalText,
  data: optionalMetadata,
  channel: optionalText,
  ...challengeFields,
})

/** By what a user signs up. */
export interface NewAccount {
  readonly provider: 'email' | 'phone'
  /** The address or the number. */
  readonly address: string
  readonly channel: 'email' | 'sms' | 'whatsapp'
  readonly passwordHash: string | undefined
  readonly data: Metadata
  readonly challenge: ReturnType<typeof checkedChallenge>
  /** The user with that address whom the sender has proven to be, though the address is not confirmed. */
  readonly provenId?: string | undefined
}

export const channelOf = (channel: string): 'sms' | 'whatsapp' => {
  if (channel === '' || channel === 'sms') return 'sms'
  if (channel === 'whatsapp') return 'whatsapp'
  throw invalid("Invalid channel, supported values are 'sms' or 'whatsapp'")
}

export const isConfirmed = (user: User, provider: 'email' | 'phone'): boolean =>
  (provider === 'email' ? user.email_confirmed_at : user.phone_confirmed_at) !== null

const readAccount = (body: z.output<typeof signUpBody>): Omit<NewAccount, 'passwordHash'> => {
  const data = checkedMetadata(body.data ?? {})
  if (body.email !== '' && body.phone !== '') throw invalid('Only an email address or phone number should be provided on signup.')
  if (body.phone !== '') {
    if (body.code_challenge !== '') throw invalid('PKCE not supported for phone signups')
    const [channel, address] = [channelOf(body.channel), checkedPhone(body.phone)]
    return { provider: 'phone', address, channel, data, challenge: undefined }
  }
  return { provider: 'email', address: checkedEmail(body.email), channel: 'email', data, challenge: checkedChallenge(body) }
}

/** Makes the row and the identity of somebody who was not there. Triggers of the application see both, with the metadata. */
export const createUser = async (
  { settings, now }: AuthContext,
  db: Queryable,
  { provider, address, passwordHash, data }: Pick<NewAccount, 'provider' | 'address' | 'passwordHash' | 'data'>,
): Promise<User> => {
  const id = await insertUser(
    db,
    {
      aud: settings.audience,
      role: 'authenticated',
      [provider]: address,
      passwordHash,
      appMetadata: { provider, providers: [provider] },
      userMetadata: data,
    },
    now(),
  )
  const claims = { [provider]: address, email_verified: false, phone_verified: false }
  await putIdentity(db, id, provider, { ...data, ...claims }, now())
  return reloadUser(db, id)
}

const confirm = (db: Queryable, user: User, provider: 'email' | 'phone', now: Date): Promise<void> =>
  provider === 'email' ? confirmEmail(db, user, now) : confirmPhone(db, user, now)

export interface SignedUp {
  readonly user: User
  /** Whether the user was there before, and confirmed: nothing was changed. */
  readonly existed: boolean
  /** To be sent after the transaction. */
  readonly codes: readonly MadeCode[]
}

/**
 * Makes an account, or finds one. Autoconfirm confirms it; otherwise a code is made for it. The password of an account that is there
 * is left alone: nobody has proven to be its owner.
 */
export const signUpAccount = async (
  context: AuthContext,
  db: Queryable,
  account: NewAccount,
  request: AuthRequest,
): Promise<SignedUp> => {
  const { provider, address, channel, challenge } = account
  const found = await findUser(db, provider, address, { lock: true })
  const entry = (user: User) => ({ actor: actorOf(user), ip: request.ip, traits: { provider } })
  if (found && isConfirmed(found, provider)) {
    await audit(db, { action: 'user_repeated_signup', ...entry(found) }, context.now())
    return { user: found, existed: true, codes: [] }
  }
  const user = found ?? (await createUser(context, db, account))
  // Somebody who was invited, or made by an administrator, is not to be taken over by whoever signs up under that address.
  if (context.settings.autoconfirm && (!found || found.id === account.provenId)) {
    await audit(db, { action: 'user_signedup', ...entry(user) }, context.now())
    await confirm(db, user, provider, context.now())
    return { user: await reloadUser(db, user.id), existed: false, codes: [] }
  }
  await audit(db, { action: 'user_confirmation_requested', ...entry(user) }, context.now())
  if (challenge) await insertFlowState(db, { userId: user.id, ...challenge, method: 'email/signup' }, context.now())
  const kind = provider === 'email' ? 'signup' : 'sms'
  const code = await makeCode(context, db, { user, kind, channel, to: address, pkce: challenge !== undefined }, request)
  return { user: await reloadUser(db, user.id), existed: false, codes: [code] }
}

/** What somebody gets who signs up with an address that is taken: a user as if it were new. */
const decoyOf = ({ provider, address, data }: NewAccount, { settings, now }: AuthContext): object => {
  const at = now()
  return {
    id: randomUUID(),
    aud: settings.audience,
    role: '',
    email: provider === 'email' ? address : '',
    phone: provider === 'phone' ? address : '',
    confirmation_sent_at: at,
    app_metadata: { provider, providers: [provider] },
    user_metadata: data,
    identities: [],
    created_at: at,
    updated_at: at,
    is_anonymous: false,
  }
}

export const alreadyRegistered = (): AuthError => new AuthError(422, 'user_already_exists', 'User already registered')

export const checkSignupOpen = ({ settings }: AuthContext): void => {
  if (!settings.signup) throw new AuthError(422, 'signup_disabled', 'Signups not allowed for this instance')
}

const signUpAnonymously = async (context: AuthContext, data: Metadata, request: AuthRequest): Promise<SessionBody> => {
  const { settings, pool, limits, now } = context
  if (!settings.anonymousUsers) throw new AuthError(422, 'anonymous_provider_disabled', 'Anonymous sign-ins are disabled')
  await limits.perIp('anonymous', request.ip)
  checkSignupOpen(context)
  const user = { aud: settings.audience, role: 'authenticated', appMetadata: {}, userMetadata: data, anonymous: true }
  return refuseDuplicates(alreadyRegistered, () =>
    pool.transaction(async (db) => issueSession(context, db, await insertUser(db, user, now()), 'anonymous', request)),
  )
}

/**
 * With autoconfirm an account that is there and not confirmed opens to its own password only. Raises AuthError for any other.
 */
const provenUser = async (
  { settings, pool, passwords, limits }: AuthContext,
  { provider, address }: Pick<NewAccount, 'provider' | 'address'>,
  password: string,
): Promise<string | undefined> => {
  const found = settings.autoconfirm ? await findUser(pool, provider, address) : null
  if (!found || isConfirmed(found, provider)) return undefined
  // Guesses count as those of a sign-in do.
  const verify = async () => (await passwords.verify(password, found.encrypted_password)).matches
  if (!(await limits.attempt(`${provider}:${address}`, verify))) throw alreadyRegistered()
  return found.id
}

/** `POST /signup`: with an email address or a phone number and a password, or with neither an anonymous user. */
export const signUp = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  const { settings, pool, passwords, limits } = context
  const body = readBody(signUpBody, given)
  if (body.email === '' && body.phone === '')
    return { body: await signUpAnonymously(context, checkedMetadata(body.data ?? {}), request) }
  await limits.perIp('signIns', request.ip)
  checkSignupOpen(context)
  if (body.password === '') throw invalid('Signup requires a valid password')
  checkPassword(body.password, settings)
  const read = readAccount(body)
  if (!settings.autoconfirm) requireSender(context, read.channel)
  const provenId = await provenUser(context, read, body.password)
  // Also for an address that is taken, so that the time tells nothing.
  const account = { ...read, provenId, passwordHash: await passwords.hash(body.password) }
  const done = await refuseDuplicates(alreadyRegistered, () =>
    pool.transaction(async (db) => {
      const signedUp = await signUpAccount(context, db, account, request)
      if (signedUp.existed || !isConfirmed(signedUp.user, account.provider)) return { signedUp, session: undefined }
      const { id } = signedUp.user
      await audit(
        db,
        { action: 'login', actor: actorOf(signedUp.user), ip: request.ip, traits: { provider: account.provider } },
        context.now(),
      )
      return { signedUp, session: await issueSession(context, db, id, 'password', request) }
    }),
  )
  if (done.session) return { body: done.session }
  if (done.signedUp.existed) {
    if (settings.autoconfirm) throw alreadyRegistered()
    return { body: decoyOf(account, context) }
  }
  await deliver(context, done.signedUp.codes)
  const { user } = done.signedUp
  // Somebody who was invited is known by more than what was just given.
  return { body: user.invited_at === null ? userBody(user) : { ...userBody(user), user_metadata: {}, identities: [] } }
}
