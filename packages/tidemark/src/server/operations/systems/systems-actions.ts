/** What an operator does in the applications: decides on what waits for leave, has a tour told to the CRM again, ends a task. */
import { z } from 'zod'
import { TidemarkError } from '../../../errors.js'
import { createRoleWrites, type RoleReads } from '../role-reads.js'
import { findSystem, type SystemName, type SystemReads } from './systems.js'

/** What is to go out, for whoever decides on it. */
export interface ApprovalDetail {
  readonly id: string
  readonly lead: string
  readonly channel: string
  readonly to: string
  readonly subject: string | null
  readonly text: string
  /** Of these words: what is approved is them and no others. */
  readonly hash: string
  readonly author: string
  readonly editor: string | null
  readonly status: string
  readonly error: string | null
}

export const approvalRequest = z.strictObject({ id: z.uuid() })

const approvalSql = `
  select row_to_json(a)::text from (
    select a.id, concat_ws(' ', l.first_name, l.last_name) as lead, a.channel, a.draft_to as "to", a.draft_subject as subject, a.draft_text as text,
           a.content_hash as hash, a.created_by as author, a.edited_by as editor, a.status, left(a.last_error, 300) as error
      from public.approvals a join public.leads l on l.id = a.lead_id where a.id = $1::uuid) a`

/** Raises TM_SERVER_BAD_REQUEST where there is none. */
export const systemApproval = async (reads: SystemReads, id: string): Promise<ApprovalDetail> => {
  const leads = await readsOf(reads, 'leads')
  const found = await leads.json<ApprovalDetail | null>({ role: 'service_role' }, approvalSql, [id])
  if (!found) throw refused('there is no such approval')
  return found
}

const refused = (reason: string): TidemarkError<'TM_SERVER_BAD_REQUEST'> => new TidemarkError('TM_SERVER_BAD_REQUEST', { reason })

/** Of the database in which it is. */
const readsOf = async (reads: SystemReads, name: SystemName): Promise<RoleReads> => {
  const found = await findSystem(reads, name)
  if (!found) throw refused(`the tables of ${name} are not here`)
  return found.reads
}

const uuid = z.uuid()

export const actionRequest = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('approve'), id: uuid, hash: z.string().min(1).max(200) }),
  z.strictObject({ action: z.literal('reject'), id: uuid, reason: z.string().trim().min(1).max(1_000) }),
  z.strictObject({ action: z.literal('send'), id: uuid }),
  z.strictObject({ action: z.literal('sync-tour'), id: uuid }),
  z.strictObject({ action: z.literal('cancel-task'), id: z.string().min(1).max(200) }),
])

export type SystemAction = z.output<typeof actionRequest>

export interface SystemActionReport {
  /** Of the row, after it. */
  readonly status: string
}

interface Act {
  readonly system: SystemName
  /** Locks what has to be locked first, and gives the state that is there; `$1` is the id. */
  readonly lock: string
  /** Gives the state that is there after it. Where nothing fits, nothing is changed. */
  readonly update: string
  readonly values?: readonly string[]
}

/** The lead is locked before its approval, by everybody. */
const lockApproval = `with lead as materialized (
    select id from public.leads where id = (select lead_id from public.approvals where id = $1::uuid) for update)
  select a.status from public.approvals a, lead where a.id = $1::uuid and a.lead_id = lead.id`

const actOf = (wanted: SystemAction): Act => {
  switch (wanted.action) {
    case 'approve':
      return {
        system: 'leads',
        lock: lockApproval,
        update: `update public.approvals set status = 'approved'
          where id = $1::uuid and content_hash = $2 and status in ('pending', 'failed') returning status`,
        values: [wanted.hash],
      }
    case 'reject':
      return {
        system: 'leads',
        lock: lockApproval,
        update: `update public.approvals set status = 'rejected', rejection_reason = $2
          where id = $1::uuid and status in ('pending', 'failed') returning status`,
        values: [wanted.reason],
      }
    case 'send':
      return {
        system: 'leads',
        lock: lockApproval,
        update: `update public.approvals
            set send_requested_at = now(), next_retry_at = case status when 'failed' then now() else next_retry_at end
          where id = $1::uuid and (status = 'approved' or (status = 'failed' and approved_hash = content_hash)) returning status`,
      }
    case 'sync-tour':
      return {
        system: 'tours',
        lock: 'select crm_sync_status from public.tours where id = $1::uuid for update',
        update: `update public.tours set crm_sync_status = 'pending'
          where id = $1::uuid and crm_sync_status in ('failed', 'not_synced') returning crm_sync_status`,
      }
    case 'cancel-task':
      return {
        system: 'agents',
        lock: 'select status from public.agent_executions where task_id = $1 for update',
        update: `update public.agent_executions
            set cancel_requested = true, status = case when status = 'running' then status else 'cancelled' end::public.task_status
          where task_id = $1 and completed_at is null returning status`,
      }
  }
}

/**
 * Does it as the service, under the operator's name: the application's own rules and history hold. Raises TM_SERVER_BAD_REQUEST where the
 * row is in no state for it, where its words are others than those that were read, and for what the application's tables refuse.
 */
export const systemAct = async (reads: SystemReads, wanted: SystemAction, operator: string): Promise<SystemActionReport> => {
  const { system, lock, update, values = [] } = actOf(wanted)
  const write = createRoleWrites(await readsOf(reads, system))
  const [before, after] = await write({ role: 'service_role', user: operator }, [
    { text: lock, values: [wanted.id] },
    { text: update, values: [wanted.id, ...values] },
  ])
  const [was] = before?.rows[0] ?? []
  const [status] = after?.rows[0] ?? []
  if (status != null) return { status }
  if (was == null) throw refused('it is not there any more')
  throw refused(
    wanted.action === 'approve' && (was === 'pending' || was === 'failed')
      ? 'its words have changed since they were shown'
      : `it is ${was} by now`,
  )
}
