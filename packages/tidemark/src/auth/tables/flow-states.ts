import { randomBytes, randomUUID } from 'node:crypto'
import type { Queryable } from './queryable.js'
import type { AuthMethod } from './sessions.js'

/** A sign-in by link that was begun in one place and ends in another (PKCE). */
export interface FlowState {
  readonly id: string
  readonly user_id: string | null
  readonly code_challenge_method: 's256' | 'plain'
  readonly code_challenge: string
  readonly authentication_method: AuthMethod
  readonly created_at: Date
  readonly auth_code_issued_at: Date | null
}

const columns = 'id, user_id, code_challenge_method, code_challenge, authentication_method, created_at, auth_code_issued_at'

export interface NewFlow {
  readonly userId: string
  readonly challenge: string
  readonly challengeMethod: 's256' | 'plain'
  readonly method: AuthMethod
}

/** Begins a flow. Its code is drawn when the link is followed; until then none fits. */
export const insertFlowState = async (db: Queryable, { userId, challenge, challengeMethod, method }: NewFlow, now: Date) => {
  await db.query(
    `insert into auth.flow_state (id, user_id, auth_code, code_challenge_method, code_challenge, provider_type,
                                  created_at, updated_at, authentication_method)
     values ($1, $2, $3, $4, $5, $6, $7, $7, $6)`,
    [randomUUID(), userId, `none:${randomBytes(16).toString('hex')}`, challengeMethod, challenge, method, now],
  )
}

/** The latest flow of a user that was begun that way. */
export const latestFlowState = async (db: Queryable, userId: string, method: AuthMethod): Promise<FlowState | null> => {
  const { rows } = await db.query<FlowState>(
    `select ${columns} from auth.flow_state where user_id = $1 and authentication_method = $2
      order by created_at desc limit 1 for update`,
    [userId, method],
  )
  return rows[0] ?? null
}

/** Gives a flow its code, by its hash. */
export const setAuthCode = async (db: Queryable, id: string, hash: string, now: Date): Promise<void> => {
  await db.query('update auth.flow_state set auth_code = $2, auth_code_issued_at = $3, updated_at = $3 where id = $1', [
    id,
    hash,
    now,
  ])
}

/** With the lock that lets one exchange at a time use it. */
export const flowStateOfCode = async (db: Queryable, hash: string): Promise<FlowState | null> => {
  const { rows } = await db.query<FlowState>(`select ${columns} from auth.flow_state where auth_code = $1 for update`, [hash])
  return rows[0] ?? null
}

/** Ends all that a user has begun, the codes that were given out included. */
export const clearFlowStates = async (db: Queryable, userId: string): Promise<void> => {
  await db.query('delete from auth.flow_state where user_id = $1', [userId])
}

export const deleteFlowState = async (db: Queryable, id: string): Promise<void> => {
  await db.query('delete from auth.flow_state where id = $1', [id])
}
