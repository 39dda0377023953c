import { randomUUID } from 'node:crypto'
import type { Metadata, User } from '../user.js'
import type { Queryable } from './queryable.js'

const utc = (column: string): string => `to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

const identities = `coalesce((
  select json_agg(json_strip_nulls(json_build_object('email', i.email))::jsonb || jsonb_build_object(
           'identity_id', i.id, 'id', i.provider_id, 'user_id', i.user_id, 'identity_data', i.identity_data,
           'provider', i.provider, 'last_sign_in_at', ${utc('i.last_sign_in_at')},
           'created_at', ${utc('i.created_at')}, 'updated_at', ${utc('i.updated_at')})
         order by i.created_at, i.provider)
    from auth.identities i where i.user_id = u.id), '[]') as identities`

const columns = `u.id, u.aud, u.role, u.email, u.encrypted_password, u.email_confirmed_at, u.invited_at, u.confirmation_sent_at,
  u.recovery_sent_at, u.email_change, u.email_change_sent_at, u.email_change_confirm_status, u.last_sign_in_at,
  u.raw_app_meta_data, u.raw_user_meta_data, u.created_at, u.updated_at, u.phone, u.phone_confirmed_at, u.phone_change,
  u.phone_change_sent_at, u.confirmed_at, u.banned_until, u.reauthentication_sent_at, u.is_sso_user, u.deleted_at, u.is_anonymous`

const conditions = {
  id: 'u.id = $1',
  email: 'lower(u.email) = lower($1) and not u.is_sso_user',
  phone: 'u.phone = $1',
  phone_change: 'u.phone_change = $1',
} as const

/** The user that one value names; null where there is none. With `lock` nobody else changes it until the transaction ends. */
export const findUser = async (
  db: Queryable,
  by: keyof typeof conditions,
  value: string,
  { lock = false }: { readonly lock?: boolean } = {},
): Promise<User | null> => {
  const { rows } = await db.query<User>(
    `select ${columns}, ${identities} from auth.users u where ${conditions[by]} order by u.created_at limit 1${lock ? ' for update' : ''}`,
    [value],
    { name: `auth-user-by-${by}${lock ? '-lock' : ''}` },
  )
  return rows[0] ?? null
}

/** For a user that must be there: it was just written, or its row is locked. */
export const reloadUser = async (db: Queryable, id: string): Promise<User> => (await findUser(db, 'id', id))!

export interface NewUser {
  readonly id?: string
  readonly aud: string
  readonly role: string
  readonly email?: string | undefined
  readonly phone?: string | undefined
  readonly passwordHash?: string | undefined
  readonly appMetadata: Metadata
  readonly userMetadata: Metadata
  readonly anonymous?: boolean
}

/** Columns that other tools of Supabase expect to be empty rather than null. */
const emptyColumns = [
  'confirmation_token',
  'recovery_token',
  'email_change_token_new',
  'email_change',
  'phone_change',
  'phone_change_token',
  'email_change_token_current',
  'reauthentication_token',
]

export const insertUser = async (db: Queryable, user: NewUser, now: Date): Promise<string> => {
  const id = user.id ?? randomUUID()
  await db.query(
    `insert into auth.users (instance_id, id, aud, role, email, phone, encrypted_password, raw_app_meta_data, raw_user_meta_data,
                             is_anonymous, created_at, updated_at, ${emptyColumns.join(', ')})
     values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, ${emptyColumns.map(() => "''").join(', ')})`,
    [
      id,
      user.aud,
      user.role,
      user.email ?? null,
      user.phone ?? null,
      user.passwordHash ?? '',
      JSON.stringify(user.appMetadata),
      JSON.stringify(user.userMetadata),
      user.anonymous ?? false,
      now,
    ],
  )
  return id
}

/** What may be changed of a user, by column. */
export type UserChanges = Partial<
  Pick<
    User,
    | 'role'
    | 'email'
    | 'encrypted_password'
    | 'email_confirmed_at'
    | 'invited_at'
    | 'confirmation_sent_at'
    | 'recovery_sent_at'
    | 'email_change'
    | 'email_change_sent_at'
    | 'email_change_confirm_status'
    | 'raw_app_meta_data'
    | 'raw_user_meta_data'
    | 'phone'
    | 'phone_confirmed_at'
    | 'phone_change'
    | 'phone_change_sent_at'
    | 'banned_until'
    | 'reauthentication_sent_at'
    | 'deleted_at'
    | 'is_anonymous'
  >
>

const changeable: ReadonlySet<string> = new Set<keyof UserChanges>([
  'role',
  'email',
  'encrypted_password',
  'email_confirmed_at',
  'invited_at',
  'confirmation_sent_at',
  'recovery_sent_at',
  'email_change',
  'email_change_sent_at',
  'email_change_confirm_status',
  'raw_app_meta_data',
  'raw_user_meta_data',
  'phone',
  'phone_confirmed_at',
  'phone_change',
  'phone_change_sent_at',
  'banned_until',
  'reauthentication_sent_at',
  'deleted_at',
  'is_anonymous',
])

const parameterOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !(value instanceof Date) ? JSON.stringify(value) : value

export const updateUser = async (db: Queryable, id: string, changes: UserChanges, now: Date): Promise<void> => {
  const entries = Object.entries(changes).filter(([column]) => changeable.has(column))
  if (entries.length === 0) return
  const assignments = entries.map(([column], index) => `${column} = $${index + 3}`)
  await db.query(`update auth.users set ${assignments.join(', ')}, updated_at = $2 where id = $1`, [
    id,
    now,
    ...entries.map(([, value]) => parameterOf(value)),
  ])
}

export const deleteUser = async (db: Queryable, id: string): Promise<void> => {
  await db.query('delete from auth.users where id = $1', [id])
}

export interface UserPage {
  readonly users: readonly User[]
  readonly total: number
}

export interface UserListing {
  readonly limit: number
  readonly offset: number
  readonly ascending: boolean
  /** Part of an email address, a phone number or a full name. */
  readonly filter?: string | undefined
}

/** Users page by page, the newest first unless asked otherwise. */
export const listUsers = async (db: Queryable, { limit, offset, ascending, filter }: UserListing): Promise<UserPage> => {
  const direction = ascending ? 'asc' : 'desc'
  const pattern = filter === undefined || filter === '' ? null : `%${filter.replace(/[\\%_]/g, '\\$&')}%`
  const matching = `($1::text is null or u.email ilike $1 or u.phone like $1 or u.raw_user_meta_data ->> 'full_name' ilike $1)`
  const { rows } = await db.query<User & { readonly total: string }>(
    `select ${columns}, ${identities}, count(*) over () as total from auth.users u where ${matching}
      order by u.created_at ${direction}, u.id ${direction} limit $2 offset $3`,
    [pattern, limit, offset],
  )
  if (rows[0]) return { users: rows.map(({ total: _total, ...user }) => user), total: Number(rows[0].total) }
  const counted = await db.query<{ n: string }>(`select count(*) as n from auth.users u where ${matching}`, [pattern])
  return { users: [], total: Number(counted.rows[0]!.n) }
}
