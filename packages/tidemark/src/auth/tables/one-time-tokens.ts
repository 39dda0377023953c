import { randomUUID } from 'node:crypto'
import type { Queryable } from './queryable.js'

export type OneTimeTokenType =
  | 'confirmation_token'
  | 'reauthentication_token'
  | 'recovery_token'
  | 'email_change_token_new'
  | 'email_change_token_current'
  | 'phone_change_token'

/** A code on its way, as it is kept: by its hash. A user has at most one of each type. */
export interface OneTimeToken {
  readonly user_id: string
  readonly token_type: OneTimeTokenType
  readonly token_hash: string
  /** The address that it was sent to. */
  readonly relates_to: string
  readonly created_at: Date
}

const columns = "user_id, token_type, token_hash, relates_to, created_at at time zone 'utc' as created_at"

export const putOneTimeToken = async (
  db: Queryable,
  { user_id, token_type, token_hash, relates_to }: Omit<OneTimeToken, 'created_at'>,
  now: Date,
): Promise<void> => {
  await db.query(
    `insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6::timestamptz at time zone 'utc', $6::timestamptz at time zone 'utc')
     on conflict (user_id, token_type) do update
       set token_hash = excluded.token_hash, relates_to = excluded.relates_to,
           created_at = excluded.created_at, updated_at = excluded.updated_at`,
    [randomUUID(), user_id, token_type, token_hash, relates_to, now],
  )
}

/** Tokens of those types that went to an address. More than one user may have given the same as a new one. */
export const oneTimeTokensFor = async (
  db: Queryable,
  relatesTo: string,
  types: readonly OneTimeTokenType[],
): Promise<readonly OneTimeToken[]> => {
  const { rows } = await db.query<OneTimeToken>(
    `select ${columns} from auth.one_time_tokens where relates_to = $1 and token_type::text = any($2) order by created_at desc limit 20`,
    [relatesTo, types],
  )
  return rows
}

export const findOneTimeToken = async (
  db: Queryable,
  hash: string,
  types: readonly OneTimeTokenType[],
): Promise<OneTimeToken | null> => {
  const { rows } = await db.query<OneTimeToken>(
    `select ${columns} from auth.one_time_tokens where token_hash = $1 and token_type::text = any($2) limit 1`,
    [hash, types],
  )
  return rows[0] ?? null
}

export const oneTimeTokenOf = async (db: Queryable, userId: string, type: OneTimeTokenType): Promise<OneTimeToken | null> => {
  const { rows } = await db.query<OneTimeToken>(
    `select ${columns} from auth.one_time_tokens where user_id = $1 and token_type = $2`,
    [userId, type],
  )
  return rows[0] ?? null
}

/** Takes one away; false where it was gone, or another had taken its place. */
export const takeOneTimeToken = async (db: Queryable, { token_hash, user_id, token_type }: OneTimeToken): Promise<boolean> => {
  const { rowCount } = await db.query(
    'delete from auth.one_time_tokens where token_hash = $1 and user_id = $2 and token_type = $3',
    [token_hash, user_id, token_type],
  )
  return rowCount === 1
}

export const clearOneTimeTokens = async (db: Queryable, userId: string): Promise<void> => {
  await db.query('delete from auth.one_time_tokens where user_id = $1', [userId])
}
