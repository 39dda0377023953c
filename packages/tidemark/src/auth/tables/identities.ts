import type { Metadata } from '../user.js'
import type { Queryable } from './queryable.js'

/** Email and phone are providers of which the user's own id is the name. */
export type Provider = 'email' | 'phone'

/** Makes the identity, or adds to its data where it is there. */
export const putIdentity = async (
  db: Queryable,
  userId: string,
  provider: Provider,
  data: Metadata,
  now: Date,
): Promise<void> => {
  await db.query(
    `insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
     values ($1::text, $1::uuid, $2, $3, $4, $4, $4)
     on conflict (provider_id, provider) do update
       set identity_data = auth.identities.identity_data || excluded.identity_data, updated_at = excluded.updated_at`,
    [userId, JSON.stringify({ sub: userId, ...data }), provider, now],
  )
}

/** Notes in the data of an identity that is there; does nothing where it is not. */
export const noteInIdentity = async (
  db: Queryable,
  userId: string,
  provider: Provider,
  data: Metadata,
  now: Date,
): Promise<void> => {
  await db.query(
    `update auth.identities set identity_data = identity_data || $3, updated_at = $4
      where provider_id = $1 and provider = $2`,
    [userId, provider, JSON.stringify(data), now],
  )
}

/** The providers of a user, the oldest first. */
export const providersOf = async (db: Queryable, userId: string): Promise<readonly string[]> => {
  const { rows } = await db.query<{ provider: string }>(
    'select provider from auth.identities where user_id = $1 group by provider order by min(created_at), provider',
    [userId],
  )
  return rows.map(({ provider }) => provider)
}

export const deleteIdentities = async (db: Queryable, userId: string): Promise<void> => {
  await db.query('delete from auth.identities where user_id = $1', [userId])
}
