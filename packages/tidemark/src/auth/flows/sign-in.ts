import { z } from 'zod'
import type { AuthAnswer } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import { invalid, optionalText, readBody } from '../fields.js'
import { weaknessOf } from '../passwords/password-rules.js'
import { audit } from '../tables/audit.js'
import { findUser, updateUser } from '../tables/users.js'
import { issueSession, type SessionBody } from '../tokens/issue-session.js'
import { isBanned, type User } from '../user.js'
import { actorOf } from './actors.js'
import { isConfirmed } from './sign-up.js'

const passwordBody = z.object({ email: optionalText, phone: optionalText, password: optionalText })

interface Login {
  readonly provider: 'email' | 'phone'
  readonly address: string
  readonly password: string
}

const wrong = (): AuthError => new AuthError(400, 'invalid_credentials', 'Invalid login credentials')

const readLogin = (given: unknown): Login => {
  const { email, phone, password } = readBody(passwordBody, given)
  if (email !== '' && phone !== '') throw invalid('Only an email address or phone number should be provided on login.')
  if (email !== '') return { provider: 'email', address: email.toLowerCase().slice(0, 255), password }
  if (phone !== '') return { provider: 'phone', address: phone.replace(/^\+/, '').replace(/ /g, '').slice(0, 32), password }
  throw invalid('missing email or phone')
}

/** Only who knows the password learns why it does not help. */
const checkState = (user: User, provider: Login['provider'], now: Date): void => {
  if (isBanned(user, now)) throw new AuthError(400, 'user_banned', 'User is banned')
  if (isConfirmed(user, provider)) return
  throw provider === 'email'
    ? new AuthError(400, 'email_not_confirmed', 'Email not confirmed')
    : new AuthError(400, 'phone_not_confirmed', 'Phone not confirmed')
}

/** The user, once the password is right; the hash it was compared with tells whether it is still that one later. */
const authenticate = async (context: AuthContext, { provider, address, password }: Login) => {
  const { pool, passwords, limits } = context
  return limits.attempt(`${provider}:${address}`, async () => {
    // A NUL or half a character is in nobody's address; Postgres would refuse it as a value.
    const user = /\0|\p{Surrogate}/u.test(address) ? null : await findUser(pool, provider, address)
    const { matches, outdated } = await passwords.verify(password, user?.encrypted_password)
    return user && matches ? { user, outdated } : false
  })
}

/** A hash of an older cost is made anew, unless the password was changed meanwhile. */
const upgradeHash = async ({ pool, passwords, now, log }: AuthContext, user: User, password: string): Promise<void> => {
  try {
    const hash = await passwords.hash(password)
    await pool.transaction(async (db) => {
      const current = await findUser(db, 'id', user.id, { lock: true })
      if (current?.encrypted_password === user.encrypted_password)
        await updateUser(db, user.id, { encrypted_password: hash }, now())
    })
  } catch (err) {
    log.warn('the hash of a password stays as it was', { err })
  }
}

/** `POST /token?grant_type=password` */
export const signInWithPassword = async (context: AuthContext, given: unknown, request: AuthRequest): Promise<AuthAnswer> => {
  const { pool, limits, settings, now } = context
  await limits.perIp('signIns', request.ip)
  const login = readLogin(given)
  const authenticated = await authenticate(context, login)
  if (authenticated === false) throw wrong()
  const { user, outdated } = authenticated
  checkState(user, login.provider, now())
  const body = await pool.transaction(async (db): Promise<SessionBody> => {
    const current = await findUser(db, 'id', user.id, { lock: true })
    // Changed, or gone, while the password was compared.
    if (current?.encrypted_password !== user.encrypted_password) throw wrong()
    await audit(db, { action: 'login', actor: actorOf(user), ip: request.ip, traits: { provider: login.provider } }, now())
    return issueSession(context, db, user.id, 'password', request)
  })
  if (outdated) await upgradeHash(context, user, login.password)
  const weakness = weaknessOf(login.password, settings)
  return { body: weakness ? { ...body, weak_password: weakness } : body }
}
