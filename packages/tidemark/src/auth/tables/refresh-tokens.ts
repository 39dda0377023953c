import type { Queryable } from './queryable.js'

/** A refresh token as it is kept: by its hash. */
export interface RefreshToken {
  readonly token: string
  readonly parent: string | null
  readonly revoked: boolean
  readonly updated_at: Date
  readonly session_id: string
  readonly successor: Buffer | null
}

const columns = 'token, parent, revoked, updated_at, session_id, successor'

export const findRefreshToken = async (db: Queryable, hash: string): Promise<RefreshToken | null> => {
  const { rows } = await db.query<RefreshToken>(`select ${columns} from auth.refresh_tokens where token = $1`, [hash], {
    name: 'auth-refresh-token',
  })
  return rows[0] ?? null
}

export interface Rotation {
  readonly from: RefreshToken
  readonly userId: string
  /** The hash of the new token. */
  readonly to: string
  /** The new token, readable with the old one only. */
  readonly successor: Buffer
  /** Older successors than that are forgotten: nobody may ask for them any more. */
  readonly keepSince: Date
}

/** Puts a new token in the place of one. */
export const rotateRefreshToken = async (
  db: Queryable,
  { from, userId, to, successor, keepSince }: Rotation,
  now: Date,
): Promise<void> => {
  await db.query(
    `with fresh as (
       insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
       values ('00000000-0000-0000-0000-000000000000', $1, $2, false, $3, $3, $4, $5)
     ), forgotten as (
       update auth.refresh_tokens set successor = null
        where session_id = $5 and revoked and successor is not null and updated_at < $7 and token <> $4
     )
     update auth.refresh_tokens set revoked = true, updated_at = $3, successor = $6 where token = $4`,
    [to, userId, now, from.token, from.session_id, successor, keepSince],
    { name: 'auth-rotate-refresh-token' },
  )
}
