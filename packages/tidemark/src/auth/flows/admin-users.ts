import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { AuthAnswer } from '../answer.js'
import type { AuthContext, AuthRequest } from '../auth-context.js'
import { AuthError } from '../auth-error.js'
import {
  checkedEmail,
  checkedMetadata,
  checkedPhone,
  invalid,
  isUuid,
  optionalMetadata,
  optionalText,
  readBody,
} from '../fields.js'
import { parseGoDuration } from '../go-duration.js'
import { isKnownHash } from '../passwords/password-hash.js'
import { checkPassword } from '../passwords/password-rules.js'
import { audit, serviceActor } from '../tables/audit.js'
import { clearFlowStates } from '../tables/flow-states.js'
import { deleteIdentities, putIdentity } from '../tables/identities.js'
import { clearOneTimeTokens } from '../tables/one-time-tokens.js'
import type { Queryable } from '../tables/queryable.js'
import { endSessions } from '../tables/sessions.js'
import { refuseDuplicates } from '../tables/unique.js'
import { deleteUser, findUser, insertUser, listUsers, reloadUser, type UserChanges, updateUser } from '../tables/users.js'
import { mergeMetadata, type User, userBody } from '../user.js'
import { confirmEmail, confirmPhone, noteProviders } from './confirm.js'
import { setPassword } from './update-user.js'

const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false)

const adminBody = z.object({
  id: optionalText,
  role: optionalText,
  email: optionalText,
  phone: optionalText,
  password: z.string().nullish(),
  password_hash: optionalText,
  email_confirm: flag,
  phone_confirm: flag,
  user_metadata: optionalMetadata,
  app_metadata: optionalMetadata,
  ban_duration: optionalText,
})

type AdminBody = z.output<typeof adminBody>

const furthestMs = 8.64e15

/** Until when a ban lasts; null lifts it, undefined says nothing. */
const bannedUntil = ({ ban_duration: duration }: AdminBody, now: Date): Date | null | undefined => {
  if (duration === '') return undefined
  if (duration === 'none') return null
  const ms = parseGoDuration(duration)
  if (ms === undefined)
    throw invalid(`invalid format for ban duration: time: invalid duration ${JSON.stringify(duration.slice(0, 64))}`)
  return new Date(Math.min(now.getTime() + ms, furthestMs))
}

/** A role that Postgres may be asked to act as. */
const checkedRole = (role: string): string => {
  if (role.length > 63 || role.toLowerCase() === 'none' || /\0|\p{Surrogate}/u.test(role))
    throw invalid('role must be the name of a role')
  return role
}

/** What is asked for, checked, and with the password as its hash. */
interface Wanted {
  readonly email: string | undefined
  readonly phone: string | undefined
  readonly passwordHash: string | undefined
  readonly body: AdminBody
  readonly banned: Date | null | undefined
}

const hashOfWanted = async ({ passwords, settings }: AuthContext, body: AdminBody): Promise<string | undefined> => {
  if (body.password_hash !== '') {
    if (body.password != null) throw invalid('Only a password or a password hash should be provided')
    if (!isKnownHash(body.password_hash))
      throw invalid('password_hash must be a scrypt hash in PHC form: no other kind is verified here')
    return body.password_hash
  }
  if (body.password == null || body.password === '') return undefined
  checkPassword(body.password, settings)
  return passwords.hash(body.password)
}

const readWanted = async (context: AuthContext, given: unknown): Promise<Wanted> => {
  const body = readBody(adminBody, given)
  checkedRole(body.role)
  for (const metadata of [body.user_metadata, body.app_metadata]) if (metadata) checkedMetadata(metadata)
  return {
    email: body.email === '' ? undefined : checkedEmail(body.email),
    phone: body.phone === '' ? undefined : checkedPhone(body.phone),
    banned: bannedUntil(body, context.now()),
    passwordHash: await hashOfWanted(context, body),
    body,
  }
}

export const emailExists = (): AuthError =>
  new AuthError(422, 'email_exists', 'A user with this email address has already been registered')
const phoneExists = (): AuthError =>
  new AuthError(422, 'phone_exists', 'A user with this phone number has already been registered')

const refuseTaken = async (db: Queryable, { email, phone }: Wanted, exceptId?: string): Promise<void> => {
  const isOther = (user: User | null): boolean => user !== null && user.id !== exceptId
  if (email !== undefined && isOther(await findUser(db, 'email', email))) throw emailExists()
  if (phone !== undefined && isOther(await findUser(db, 'phone', phone))) throw phoneExists()
}

const traitsOf = ({ id, email, phone }: User) => ({ user_id: id, user_email: email ?? '', user_phone: phone ?? '' })

/** Notes the addresses as identities, confirmed or not. */
const putIdentities = async (db: Queryable, id: string, { email, phone, body }: Wanted, now: Date): Promise<void> => {
  if (email !== undefined) {
    await putIdentity(db, id, 'email', { email, email_verified: body.email_confirm, phone_verified: false }, now)
  }
  if (phone !== undefined) {
    await putIdentity(db, id, 'phone', { phone, phone_verified: body.phone_confirm, email_verified: false }, now)
  }
}

const confirmWanted = async (db: Queryable, id: string, { body }: Wanted, now: Date): Promise<void> => {
  if (body.email_confirm) await confirmEmail(db, await reloadUser(db, id), now)
  if (body.phone_confirm) await confirmPhone(db, await reloadUser(db, id), now)
}

const checkedId = (id: string): string | undefined => {
  if (id === '') return undefined
  if (!isUuid(id)) throw invalid('ID must conform to the uuid v4 format')
  if (/^[0-]+$/.test(id)) throw invalid('ID cannot be a nil uuid')
  return id.toLowerCase()
}

/** `POST /admin/users` */
export const adminCreateUser = async (context: AuthContext, given: unknown, { ip }: AuthRequest): Promise<AuthAnswer> => {
  const { pool, settings, now } = context
  const wanted = await readWanted(context, given)
  const { email, phone, passwordHash, body } = wanted
  if (email === undefined && phone === undefined) throw invalid('Cannot create a user without either an email or phone')
  const wantedId = checkedId(body.id)
  const providers = [...(email === undefined ? [] : ['email']), ...(phone === undefined ? [] : ['phone'])]
  const user = await refuseDuplicates(
    () => (email === undefined ? phoneExists() : emailExists()),
    () =>
      pool.transaction(async (db) => {
        await refuseTaken(db, wanted)
        const id = await insertUser(
          db,
          {
            ...(wantedId !== undefined && { id: wantedId }),
            aud: settings.audience,
            role: body.role.trim() || 'authenticated',
            email,
            phone,
            passwordHash,
            appMetadata: mergeMetadata({ provider: providers[0], providers }, body.app_metadata ?? {}),
            userMetadata: body.user_metadata ?? {},
          },
          now(),
        )
        await putIdentities(db, id, wanted, now())
        await confirmWanted(db, id, wanted, now())
        if (wanted.banned !== undefined) await updateUser(db, id, { banned_until: wanted.banned }, now())
        const made = await reloadUser(db, id)
        await audit(db, { action: 'user_signedup', actor: serviceActor, ip, traits: traitsOf(made) }, now())
        return made
      }),
  )
  return { body: userBody(user) }
}

const notThere = (): AuthError => new AuthError(404, 'user_not_found', 'User not found')

const checkUserId = (id: string): void => {
  if (!isUuid(id)) throw new AuthError(404, 'validation_failed', 'user_id must be an UUID')
}

/** `GET /admin/users/{id}` */
export const adminGetUser = async ({ pool }: AuthContext, id: string): Promise<AuthAnswer> => {
  checkUserId(id)
  const user = await findUser(pool, 'id', id)
  if (!user) throw notThere()
  return { body: userBody(user) }
}

const changesOf = (user: User, { email, phone, body, banned }: Wanted): UserChanges => {
  const confirmed = (email !== undefined && body.email_confirm) || (phone !== undefined && body.phone_confirm)
  return {
    ...(body.role !== '' && { role: body.role.trim() }),
    ...(email !== undefined && { email }),
    ...(phone !== undefined && { phone }),
    ...(user.is_anonymous && confirmed && { is_anonymous: false }),
    ...(body.user_metadata && {
      raw_user_meta_data: checkedMetadata(mergeMetadata(user.raw_user_meta_data, body.user_metadata)),
    }),
    ...(body.app_metadata && { raw_app_meta_data: checkedMetadata(mergeMetadata(user.raw_app_meta_data, body.app_metadata)) }),
    ...(banned !== undefined && { banned_until: banned }),
  }
}

/** `PUT /admin/users/{id}` */
export const adminUpdateUser = async (
  context: AuthContext,
  id: string,
  given: unknown,
  { ip }: AuthRequest,
): Promise<AuthAnswer> => {
  const { pool, now } = context
  checkUserId(id)
  const wanted = await readWanted(context, given)
  const user = await refuseDuplicates(
    () => (wanted.email === undefined ? phoneExists() : emailExists()),
    () =>
      pool.transaction(async (db) => {
        const before = await findUser(db, 'id', id, { lock: true })
        if (!before) throw notThere()
        await refuseTaken(db, wanted, before.id)
        if (wanted.passwordHash !== undefined) await setPassword(db, before.id, wanted.passwordHash, undefined, now())
        await putIdentities(db, before.id, wanted, now())
        await updateUser(db, before.id, changesOf(before, wanted), now())
        await confirmWanted(db, before.id, wanted, now())
        if (wanted.email !== undefined || wanted.phone !== undefined)
          await noteProviders(context, db, await reloadUser(db, before.id))
        const after = await reloadUser(db, before.id)
        await audit(db, { action: 'user_modified', actor: serviceActor, ip, traits: traitsOf(after) }, now())
        return after
      }),
  )
  return { body: userBody(user) }
}

const deleteBody = z.object({ should_soft_delete: flag })

const obscured = (user: User, value: string | null): string | null =>
  value ? createHash('sha256').update(`${user.id}${value}`).digest('base64url') : value

/** What is left of somebody: an id that other tables may still name. */
const softDelete = async (db: Queryable, user: User, now: Date): Promise<void> => {
  const changes: UserChanges = {
    email: obscured(user, user.email),
    phone: obscured(user, user.phone),
    email_change: '',
    phone_change: '',
    encrypted_password: '',
    raw_user_meta_data: {},
    raw_app_meta_data: {},
    deleted_at: now,
  }
  await updateUser(db, user.id, changes, now)
  await deleteIdentities(db, user.id)
  await clearOneTimeTokens(db, user.id)
  await clearFlowStates(db, user.id)
  await endSessions(db, { userId: user.id })
}

/** `DELETE /admin/users/{id}` */
export const adminDeleteUser = async (
  { pool, now }: AuthContext,
  id: string,
  given: unknown,
  { ip }: AuthRequest,
): Promise<AuthAnswer> => {
  checkUserId(id)
  const { should_soft_delete: soft } = readBody(deleteBody, given)
  const remove = () =>
    pool.transaction(async (db) => {
      const user = await findUser(db, 'id', id, { lock: true })
      if (!user) throw notThere()
      await audit(db, { action: 'user_deleted', actor: serviceActor, ip, traits: traitsOf(user) }, now())
      if (!soft) await deleteUser(db, user.id)
      else if (user.deleted_at === null) await softDelete(db, user, now())
    })
  await refuseDuplicates(emailExists, remove, 'deleting')
  return { body: {} }
}

const listQuery = z.object({ page: optionalText, per_page: optionalText, sort: optionalText, filter: optionalText })

const positive = (text: string, otherwise: number, name: string): number => {
  if (text === '') return otherwise
  if (!/^\d{1,9}$/.test(text)) throw invalid(`Bad Pagination Parameters: ${name} is not a whole number`)
  return Math.max(1, Number(text))
}

const defaultPerPage = 50
const maxPerPage = 1000

/** `GET /admin/users`, page by page. */
export const adminListUsers = async ({ pool, settings }: AuthContext, query: unknown): Promise<AuthAnswer> => {
  const { page: pageText, per_page: perPageText, sort, filter } = readBody(listQuery, query)
  const page = positive(pageText, 1, 'page')
  const perPage = Math.min(positive(perPageText, defaultPerPage, 'per_page'), maxPerPage)
  if (!/^(?:created_at(?: (?:asc|desc))?)?$/i.test(sort)) throw invalid('Bad Sort Parameters: only created_at can be sorted by')
  const listing = { limit: perPage, offset: (page - 1) * perPage, ascending: /asc$/i.test(sort) || sort === 'created_at', filter }
  const { users, total } = await listUsers(pool, listing)
  const lastPage = Math.max(1, Math.ceil(total / perPage))
  const link = (number: number, rel: string): string => {
    const parameters = new URLSearchParams({ page: String(number), per_page: String(perPage) })
    return `<${settings.externalUrl}/auth/v1/admin/users?${parameters}>; rel="${rel}"`
  }
  const links = [...(page < lastPage ? [link(page + 1, 'next')] : []), link(lastPage, 'last')]
  return {
    body: { users: users.map(userBody), aud: settings.audience },
    headers: { 'x-total-count': String(total), link: links.join(', ') },
  }
}
