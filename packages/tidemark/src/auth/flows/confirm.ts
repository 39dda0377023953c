import type { AuthContext } from '../auth-context.js'
import { noteInIdentity, providersOf, putIdentity } from '../tables/identities.js'
import { clearOneTimeTokens } from '../tables/one-time-tokens.js'
import type { Queryable } from '../tables/queryable.js'
import { updateUser } from '../tables/users.js'
import { mergeMetadata, type User } from '../user.js'

/** Takes the address of a user as its own. All codes under way are void from now on. */
export const confirmEmail = async (db: Queryable, user: User, now: Date): Promise<void> => {
  const raw_user_meta_data = mergeMetadata(user.raw_user_meta_data, { email_verified: true })
  await updateUser(db, user.id, { email_confirmed_at: now, raw_user_meta_data }, now)
  await noteInIdentity(db, user.id, 'email', { email_verified: true }, now)
  await clearOneTimeTokens(db, user.id)
}

export const confirmPhone = async (db: Queryable, user: User, now: Date): Promise<void> => {
  await updateUser(db, user.id, { phone_confirmed_at: now, is_anonymous: false }, now)
  await noteInIdentity(db, user.id, 'phone', { phone_verified: true }, now)
  await clearOneTimeTokens(db, user.id)
}

/** Puts the address that a user has proven in the place of the one so far. An anonymous user becomes a permanent one. */
export const confirmEmailChange = async (db: Queryable, user: User, email: string, now: Date): Promise<void> => {
  await putIdentity(db, user.id, 'email', { email, email_verified: true, phone_verified: false }, now)
  const changes = { email, email_change: '', email_change_confirm_status: 0, is_anonymous: false }
  await updateUser(db, user.id, changes, now)
  if (user.email_confirmed_at === null) await confirmEmail(db, user, now)
  await clearOneTimeTokens(db, user.id)
}

export const confirmPhoneChange = async (db: Queryable, user: User, phone: string, now: Date): Promise<void> => {
  await putIdentity(db, user.id, 'phone', { phone, phone_verified: true, email_verified: false }, now)
  await updateUser(db, user.id, { phone, phone_change: '', phone_confirmed_at: now, is_anonymous: false }, now)
  await clearOneTimeTokens(db, user.id)
}

/** Notes in app_metadata by which ways a user can sign in. */
export const noteProviders = async ({ now }: AuthContext, db: Queryable, user: User): Promise<void> => {
  const providers = await providersOf(db, user.id)
  const known = { providers, ...(providers[0] !== undefined && { provider: providers[0] }) }
  await updateUser(db, user.id, { raw_app_meta_data: mergeMetadata(user.raw_app_meta_data, known) }, now())
}
