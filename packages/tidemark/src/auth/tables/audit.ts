import { randomUUID } from 'node:crypto'
import type { Queryable } from './queryable.js'

const logTypes = {
  login: 'account',
  logout: 'account',
  user_signedup: 'team',
  user_repeated_signup: 'user',
  user_confirmation_requested: 'user',
  user_recovery_requested: 'user',
  user_reauthenticate_requested: 'user',
  user_invited: 'team',
  user_modified: 'user',
  user_updated_password: 'user',
  user_deleted: 'team',
  token_refreshed: 'token',
  token_revoked: 'token',
} as const

export type AuditAction = keyof typeof logTypes

/** Who did it: a user, or the holder of a service key. */
export interface Actor {
  readonly id: string
  readonly name: string
}

export const serviceActor: Actor = { id: '00000000-0000-0000-0000-000000000000', name: 'service_role' }

export interface AuditEntry {
  readonly action: AuditAction
  readonly actor: Actor
  readonly ip: string
  /** Never a secret. */
  readonly traits?: Readonly<Record<string, unknown>>
}

/** Writes down what happened, in the form of GoTrue. */
export const audit = async (db: Queryable, { action, actor, ip, traits }: AuditEntry, now: Date): Promise<void> => {
  const payload = {
    action,
    actor_id: actor.id,
    actor_username: actor.name,
    actor_via_sso: false,
    log_type: logTypes[action],
    ...(traits && { traits }),
  }
  await db.query(
    `insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
     values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4)`,
    [randomUUID(), JSON.stringify(payload), now, ip.slice(0, 64)],
    { name: 'auth-audit' },
  )
}
