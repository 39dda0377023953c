import { z } from 'zod'
import type { AuthAnswer } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import { type CodeKind, deliver, type MadeCode, makeCode, requireSender } from '../codes/send-code.js'
import { checkedEmail, checkedMetadata, invalid, optionalMetadata, optionalText, readBody } from '../fields.js'
import { checkPassword } from '../passwords/password-rules.js'
import { redirectOf } from '../redirects.js'
import { audit, serviceActor } from '../tables/audit.js'
import type { Queryable } from '../tables/queryable.js'
import { refuseDuplicates } from '../tables/unique.js'
import { findUser, reloadUser, updateUser } from '../tables/users.js'
import { type Metadata, mergeMetadata, type User, userBody } from '../user.js'
import { emailExists } from './admin-users.js'
import { createUser } from './sign-up.js'

const linkBody = z.object({
  type: optionalText,
  email: optionalText,
  new_email: optionalText,
  password: optionalText,
  data: optionalMetadata,
  redirect_to: optionalText,
})

type LinkType = 'signup' | 'invite' | 'magiclink' | 'recovery' | 'email_change_current' | 'email_change_new'
const linkTypes: readonly string[] = ['signup', 'invite', 'magiclink', 'recovery', 'email_change_current', 'email_change_new']
const isLinkType = (type: string): type is LinkType => linkTypes.includes(type)

interface Wanted {
  readonly type: LinkType
  readonly email: string
  readonly newEmail: string | undefined
  readonly passwordHash: string | undefined
  readonly data: Metadata
  readonly redirectTo: string
}

type Newcomer = Pick<Wanted, 'email' | 'passwordHash' | 'data'>

/** Somebody new, for a link that may be the first that is heard of them. */
const newcomer = (context: AuthContext, db: Queryable, { email, passwordHash, data }: Newcomer) =>
  createUser(context, db, { provider: 'email', address: email, passwordHash, data })

const isConfirmed = (user: User): boolean => user.email_confirmed_at !== null

const invited = async (context: AuthContext, db: Queryable, wanted: Newcomer, ip: string): Promise<User> => {
  const { now } = context
  const found = await findUser(db, 'email', wanted.email, { lock: true })
  if (found && isConfirmed(found)) throw emailExists()
  const user = found ?? (await newcomer(context, db, { ...wanted, passwordHash: undefined }))
  const traits = { user_id: user.id, user_email: user.email ?? '' }
  await audit(db, { action: 'user_invited', actor: serviceActor, ip, traits }, now())
  await updateUser(db, user.id, { invited_at: now() }, now())
  return user
}

const signingUp = async (context: AuthContext, db: Queryable, wanted: Wanted): Promise<User> => {
  const found = await findUser(db, 'email', wanted.email, { lock: true })
  if (!found) return newcomer(context, db, wanted)
  if (isConfirmed(found)) throw emailExists()
  const raw_user_meta_data = checkedMetadata(mergeMetadata(found.raw_user_meta_data, wanted.data))
  await updateUser(db, found.id, { raw_user_meta_data }, context.now())
  return found
}

const known = async (db: Queryable, email: string): Promise<User> => {
  const user = await findUser(db, 'email', email, { lock: true })
  if (!user) throw new AuthError(404, 'user_not_found', 'User with this email not found')
  return user
}

const changingEmail = async (context: AuthContext, db: Queryable, { email, newEmail, type }: Wanted) => {
  const { settings, now } = context
  if (type === 'email_change_current' && !settings.doubleConfirmEmailChange)
    throw invalid('Enable secure email change to generate link for current email')
  const user = await known(db, email)
  const target = checkedEmail(newEmail ?? '')
  const other = await findUser(db, 'email', target)
  if (other && other.id !== user.id) throw emailExists()
  await updateUser(db, user.id, { email_change: target, email_change_confirm_status: 0 }, now())
  return { user, to: type === 'email_change_new' ? target : email }
}

/** The user that a link of that type is for, and where it goes; a magic link for somebody unknown is one to sign up with. */
const preparedFor = async (
  context: AuthContext,
  db: Queryable,
  wanted: Wanted,
  { ip }: AuthRequest,
): Promise<{ readonly user: User; readonly kind: CodeKind; readonly to: string }> => {
  const { type, email } = wanted
  if (type === 'email_change_current' || type === 'email_change_new')
    return { ...(await changingEmail(context, db, wanted)), kind: type }
  if (type === 'invite') return { user: await invited(context, db, wanted, ip), kind: 'invite', to: email }
  const isNew = type === 'magiclink' && !(await findUser(db, 'email', email))
  if (type === 'signup' || isNew) return { user: await signingUp(context, db, wanted), kind: 'signup', to: email }
  const user = await known(db, email)
  const traits = { user_id: user.id, user_email: email }
  await audit(db, { action: 'user_recovery_requested', actor: serviceActor, ip, traits }, context.now())
  return { user, kind: type === 'recovery' ? 'recovery' : 'magiclink', to: email }
}

const readWanted = async ({ settings, passwords }: AuthContext, given: unknown): Promise<Wanted> => {
  const { type, email, new_email, password, data, redirect_to } = readBody(linkBody, given)
  if (!isLinkType(type)) throw invalid(`Invalid email action link type requested: ${type.slice(0, 32)}`)
  const address = checkedEmail(email)
  if (type === 'signup') {
    if (password === '') throw invalid('Signup requires a valid password')
    checkPassword(password, settings)
  }
  return {
    type,
    email: address,
    newEmail: new_email === '' ? undefined : new_email,
    passwordHash: type === 'signup' ? await passwords.hash(password) : undefined,
    data: checkedMetadata(data ?? {}),
    redirectTo: redirect_to,
  }
}

/** `POST /admin/generate_link`: a link, and its code, for an application that sends its own mail. Nothing is sent. */
export const generateLink = async (context: AuthContext, given: unknown, asked: AuthRequest): Promise<AuthAnswer> => {
  const wanted = await readWanted(context, given)
  const request = { ...asked, redirectTo: redirectOf([wanted.redirectTo, asked.redirectTo], context.settings) }
  const { user, code } = await refuseDuplicates(emailExists, () =>
    context.pool.transaction(async (db) => {
      const { user: meant, kind, to } = await preparedFor(context, db, wanted, request)
      const made = await makeCode(context, db, { user: meant, kind, channel: 'email', to, atOnce: true }, request)
      return { user: await reloadUser(db, meant.id), code: made }
    }),
  )
  const links = {
    action_link: code.link,
    email_otp: code.code,
    hashed_token: code.tokenHash,
    verification_type: code.kind,
    redirect_to: request.redirectTo,
  }
  return { body: { ...userBody(user), ...links } }
}

const inviteBody = z.object({ email: optionalText, data: optionalMetadata })

/** `POST /invite`: an account for somebody, who takes it over by a link. */
export const inviteUser = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  const { email, data } = readBody(inviteBody, given)
  const wanted = { email: checkedEmail(email), data: checkedMetadata(data ?? {}), passwordHash: undefined }
  requireSender(context, 'email')
  const { user, code } = await refuseDuplicates(emailExists, () =>
    context.pool.transaction(async (db): Promise<{ user: User; code: MadeCode }> => {
      const meant = await invited(context, db, wanted, request.ip)
      const made = await makeCode(
        context,
        db,
        { user: meant, kind: 'invite', channel: 'email', to: wanted.email, atOnce: true },
        request,
      )
      return { user: await reloadUser(db, meant.id), code: made }
    }),
  )
  await deliver(context, [code])
  return { body: userBody(user) }
}
