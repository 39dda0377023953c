import type { Pool } from '../postgres/postgres.js'

/** What nobody can use any more, oldest first, a bounded part at a time so that no lock is held for long. */
const statements: readonly string[] = [
  `delete from auth.one_time_tokens where ctid in (
     select ctid from auth.one_time_tokens where created_at < ($1::timestamptz - interval '14 days') at time zone 'utc' limit 1000)`,
  `delete from auth.flow_state where ctid in (
     select ctid from auth.flow_state where created_at < $1::timestamptz - interval '14 days' limit 1000)`,
  `delete from auth.refresh_tokens where ctid in (
     select ctid from auth.refresh_tokens where revoked and updated_at < $1::timestamptz - interval '7 days' limit 1000)`,
  `delete from auth.sessions where ctid in (
     select ctid from auth.sessions where not_after < $1::timestamptz - interval '1 day' limit 1000)`,
  `delete from auth.audit_log_entries where ctid in (
     select ctid from auth.audit_log_entries where created_at < $1::timestamptz - interval '90 days' limit 1000)`,
]

/** One round of tidying up. Several nodes may do so at once; rows that another one has locked wait for the next round. */
export const cleanUp = async (pool: Pool, now: Date): Promise<number> => {
  let removed = 0
  for (const statement of statements) removed += (await pool.query(statement, [now])).rowCount ?? 0
  return removed
}
