import { randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import type { Queryable } from './queryable.js'

/** How somebody signed in. */
export type AuthMethod = 'password' | 'otp' | 'anonymous' | 'magiclink' | 'recovery' | 'invite' | 'email/signup' | 'email_change'

/** Where a request comes from. */
export interface Sender {
  readonly ip: string
  readonly userAgent: string | undefined
}

export interface SessionMethod {
  readonly method: string
  /** Seconds since 1970. */
  readonly timestamp: number
}

export interface Session {
  readonly id: string
  readonly user_id: string
  readonly created_at: Date
  readonly not_after: Date | null
}

const inet = (ip: string): string | null => (isIP(ip) === 0 ? null : ip)
/** A header may be as long as its sender likes. */
const agent = (userAgent: string | undefined): string | null => userAgent?.slice(0, 512) ?? null

/** Opens a session with its first refresh token, of which only the hash is given. */
export const insertSession = async (
  db: Queryable,
  { userId, method, tokenHash, sender }: { userId: string; method: AuthMethod; tokenHash: string; sender: Sender },
  now: Date,
): Promise<string> => {
  const id = randomUUID()
  await db.query(
    `with session as (
       insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip)
       values ($1, $2, $3, $3, 'aal1', $4, $5) returning id
     ), method as (
       insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
       select $6, id, $3, $3, $7 from session
     ), token as (
       insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, session_id)
       select '00000000-0000-0000-0000-000000000000', $8, $9, false, $3, $3, id from session
     )
     update auth.users set last_sign_in_at = $3, updated_at = $3 where id = $2`,
    [id, userId, now, agent(sender.userAgent), inet(sender.ip), randomUUID(), method, tokenHash, userId],
    { name: 'auth-open-session' },
  )
  return id
}

/** Null where it has ended. */
export const findSession = async (db: Queryable, id: string): Promise<Session | null> => {
  const { rows } = await db.query<Session>('select id, user_id, created_at, not_after from auth.sessions where id = $1', [id], {
    name: 'auth-session',
  })
  return rows[0] ?? null
}

/** The session of a refresh token, by its hash. Nobody else changes it until the transaction ends. */
export const sessionOfToken = async (db: Queryable, hash: string): Promise<Session | null> => {
  const { rows } = await db.query<Session>(
    `select id, user_id, created_at, not_after from auth.sessions
      where id = (select session_id from auth.refresh_tokens where token = $1) for update`,
    [hash],
    { name: 'auth-session-of-token' },
  )
  return rows[0] ?? null
}

/** How its user signed in, the latest first. */
export const methodsOf = async (db: Queryable, sessionId: string): Promise<readonly SessionMethod[]> => {
  const { rows } = await db.query<SessionMethod>(
    `select authentication_method as method, extract(epoch from updated_at)::int as timestamp
       from auth.mfa_amr_claims where session_id = $1 order by updated_at desc`,
    [sessionId],
    { name: 'auth-session-methods' },
  )
  return rows
}

export const noteRefresh = async (db: Queryable, sessionId: string, sender: Sender, now: Date): Promise<void> => {
  await db.query(
    `update auth.sessions set refreshed_at = $2::timestamptz at time zone 'utc', updated_at = $2, user_agent = $3, ip = $4 where id = $1`,
    [sessionId, now, agent(sender.userAgent), inet(sender.ip)],
    { name: 'auth-note-refresh' },
  )
}

/** Ends one session, all of a user, or all but one. Its refresh tokens go with it. */
export const endSessions = async (
  db: Queryable,
  which: { readonly id: string } | { readonly userId: string; readonly except?: string | undefined },
): Promise<void> => {
  if ('id' in which) await db.query('delete from auth.sessions where id = $1', [which.id])
  else
    await db.query('delete from auth.sessions where user_id = $1 and id is distinct from $2', [
      which.userId,
      which.except ?? null,
    ])
}
