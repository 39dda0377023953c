/** Free JSON that belongs to a user. */
export type Metadata = Readonly<Record<string, unknown>>

/** One way in which a user can be recognised, as clients see it. */
export interface Identity {
  readonly identity_id: string
  /** The user's name with the provider; for email and phone the user's own id. */
  readonly id: string
  readonly user_id: string
  readonly identity_data: Metadata
  readonly provider: string
  readonly last_sign_in_at: string | null
  readonly created_at: string
  readonly updated_at: string
  readonly email?: string
}

/** A row of auth.users with its identities. Times are as Postgres' driver gives them. */
export interface User {
  readonly id: string
  readonly aud: string | null
  readonly role: string | null
  readonly email: string | null
  readonly encrypted_password: string | null
  readonly email_confirmed_at: Date | null
  readonly invited_at: Date | null
  readonly confirmation_sent_at: Date | null
  readonly recovery_sent_at: Date | null
  readonly email_change: string | null
  readonly email_change_sent_at: Date | null
  readonly email_change_confirm_status: number | null
  readonly last_sign_in_at: Date | null
  readonly raw_app_meta_data: Metadata | null
  readonly raw_user_meta_data: Metadata | null
  readonly created_at: Date | null
  readonly updated_at: Date | null
  readonly phone: string | null
  readonly phone_confirmed_at: Date | null
  readonly phone_change: string | null
  readonly phone_change_sent_at: Date | null
  readonly confirmed_at: Date | null
  readonly banned_until: Date | null
  readonly reauthentication_sent_at: Date | null
  readonly is_sso_user: boolean
  readonly deleted_at: Date | null
  readonly is_anonymous: boolean
  readonly identities: readonly Identity[]
}

export const isBanned = ({ banned_until }: User, now: Date): boolean => banned_until !== null && banned_until > now

export const hasPassword = ({ encrypted_password }: User): boolean => encrypted_password !== null && encrypted_password !== ''

/** Leaves out what is not set, as GoTrue does. */
const present = (entries: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== null && value !== undefined && value !== ''))

/** A user as clients see it: nothing that opens anything. */
export const userBody = (user: User): object => ({
  id: user.id,
  aud: user.aud ?? '',
  role: user.role ?? '',
  email: user.email ?? '',
  ...present({ email_confirmed_at: user.email_confirmed_at, invited_at: user.invited_at }),
  phone: user.phone ?? '',
  ...present({
    phone_confirmed_at: user.phone_confirmed_at,
    confirmation_sent_at: user.confirmation_sent_at,
    confirmed_at: user.confirmed_at,
    recovery_sent_at: user.recovery_sent_at,
    new_email: user.email_change,
    email_change_sent_at: user.email_change_sent_at,
    new_phone: user.phone_change,
    phone_change_sent_at: user.phone_change_sent_at,
    reauthentication_sent_at: user.reauthentication_sent_at,
    last_sign_in_at: user.last_sign_in_at,
  }),
  app_metadata: user.raw_app_meta_data ?? {},
  user_metadata: user.raw_user_meta_data ?? {},
  identities: user.identities,
  created_at: user.created_at,
  updated_at: user.updated_at,
  ...present({ banned_until: user.banned_until, deleted_at: user.deleted_at }),
  is_anonymous: user.is_anonymous,
})

/** Changes of metadata are merged in; null takes a key away. */
export const mergeMetadata = (before: Metadata | null, changes: Metadata): Metadata =>
  Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null))
