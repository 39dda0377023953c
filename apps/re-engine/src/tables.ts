/** The tables as Kysely knows them. It makes statements of them; who runs them, and as whom, is for whoever calls to say. */
import { type CompiledQuery, type Generated, type SqlBool, sql } from 'kysely'
import { createStatements, placeOf, runStatement, type TableOf } from 'tidemark/app'
import type { Agent, Approval, Db, Lead, LeadEvent, Page } from './rows.js'

type Kept = 'id' | 'created_at' | 'updated_at' | 'metadata'

export interface Tables {
  readonly agents: TableOf<Agent, Kept | 'specialties' | 'timezone' | 'max_active_leads' | 'status'>
  readonly leads: TableOf<Lead, Kept | 'status' | 'status_changed_at' | 'do_not_contact' | 'version'>
  readonly approvals: TableOf<
    Approval,
    Kept | 'action_type' | 'content_hash' | 'status' | 'created_by' | 'retry_count' | 'max_retries' | 'version'
  > & { readonly idempotency_key: Generated<string>; readonly claimed_until: Generated<string | null> }
  readonly events: TableOf<LeadEvent, 'id' | 'created_at' | 'direction' | 'source' | 'data' | 'occurred_at'>
}

/** Makes statements, and runs none. */
export const tables = createStatements<Tables>()

/** Times become text, as caches and answers hold them. */
const plain = <T>(row: object): T =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value instanceof Date ? value.toISOString() : value])) as T

type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> }

/** What was left out stays out. */
export const given = <T extends object>(values: T): Given<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>

interface Statement<T> {
  compile(): CompiledQuery<T>
}

/** Runs it as whoever `db` acts for. */
export const rowsOf = async <T>(db: Db, statement: Statement<T>): Promise<readonly T[]> =>
  (await runStatement(db, statement)).rows.map((row) => plain<T>(row as object))

export const firstOf = async <T>(db: Db, statement: Statement<T>): Promise<T | null> => (await rowsOf(db, statement))[0] ?? null

/** Of a statement that Kysely has no words for. */
export const selected = async <T>(db: Db, sql: string, values: readonly unknown[] = []): Promise<readonly T[]> =>
  (await db.query<object>(sql, values)).rows.map((row) => plain<T>(row))

export const leadColumns = [
  'id',
  'first_name',
  'last_name',
  'email',
  'phone',
  'property_address',
  'city',
  'province',
  'postal_code',
  'property_type',
  'price_range',
  'timeline',
  'source',
  'status',
  'status_reason',
  'status_changed_at',
  'converted_at',
  'assigned_agent',
  'metadata',
  'do_not_contact',
  'contact_block_reason',
  'last_contacted_at',
  'version',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof Lead)[]

export const approvalColumns = [
  'id',
  'lead_id',
  'agent_id',
  'channel',
  'action_type',
  'draft_to',
  'draft_subject',
  'draft_text',
  'content_hash',
  'approved_hash',
  'status',
  'ai_score',
  'created_by',
  'edited_by',
  'submitted_at',
  'approved_by',
  'approved_at',
  'rejected_by',
  'rejected_at',
  'rejection_reason',
  'send_requested_at',
  'sent_at',
  'provider_message_id',
  'retry_count',
  'max_retries',
  'next_retry_at',
  'last_error',
  'expires_at',
  'metadata',
  'version',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof Approval)[]

export const agentColumns = [
  'id',
  'external_id',
  'name',
  'email',
  'phone',
  'license_number',
  'brokerage',
  'specialties',
  'timezone',
  'max_active_leads',
  'status',
  'metadata',
  'last_activity_at',
  'created_at',
  'updated_at',
] as const satisfies readonly (keyof Agent)[]

/** What comes after a place in a list that begins with the latest. */
export const after = (time: string, id: string, column: 'created_at' | 'occurred_at' = 'created_at') =>
  sql<SqlBool>`(${sql.ref(column)}, id) < (${time}::timestamptz, ${id}::uuid)`

/** The rows of a page, of a query that asked for one more than it holds. */
export const pageOf = <T extends { readonly id: string }>(
  rows: readonly T[],
  limit: number,
  timeOf: (row: T) => string,
): Page<T> => {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { rows: page, next: rows.length > limit && last ? placeOf(timeOf(last), last.id) : null }
}
