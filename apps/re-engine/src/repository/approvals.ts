/**
 * Approvals in Postgres: what is to be said, and by whose leave. Triggers hold the rules whoever writes; here they are asked for. The lead is locked
 * before its approval, by everybody.
 */
import type { Updateable } from 'kysely'
import { EngineError } from '../engine-error.js'
import { type ApprovalChangeInput, type ApprovalsQuery, type NewApprovalInput, parsePlace } from '../input.js'
import type { Approval, Db, Lead, Page } from '../rows.js'
import { type ApprovalStatus, approvalMoves, mayGo } from '../states.js'
import { after, approvalColumns, firstOf, given, pageOf, rowsOf, selected, type Tables, tables } from '../tables.js'
import { lockLead, requireLead } from './leads.js'

const select = tables.selectFrom('approvals').select(approvalColumns)

/** Null where there is none, or where it is not for whoever asks. */
export const findApproval = (db: Db, id: string): Promise<Approval | null> => firstOf(db, select.where('id', '=', id))

/** Raises ENGINE_NOT_FOUND. */
export const requireApproval = async (db: Db, id: string): Promise<Approval> => {
  const approval = await findApproval(db, id)
  if (!approval) throw new EngineError('ENGINE_NOT_FOUND')
  return approval
}

/** Where a channel finds the lead by what is known of it. */
const addressOf = ({ email, phone }: Lead, channel: Approval['channel']): string | null => {
  if (channel === 'email') return email
  return channel === 'sms' || channel === 'whatsapp' || channel === 'phone' ? phone : null
}

const requireAddress = (channel: Approval['channel'], address: string): void => {
  const isMail = /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(address)
  const isPhone = /^\+[1-9]\d{6,14}$/.test(address)
  const fits = channel === 'email' ? isMail : channel === 'sms' || channel === 'whatsapp' || channel === 'phone' ? isPhone : true
  if (fits) return
  const what = channel === 'email' ? 'an e-mail address' : 'a number with its country, such as +61891234567'
  throw new EngineError('ENGINE_INVALID', `draft_to: ${what}.`, { details: { fields: { draft_to: what } } })
}

const missingAddress = (): never => {
  const what = 'the lead has no address of that channel'
  throw new EngineError('ENGINE_INVALID', `draft_to: ${what}.`, { details: { fields: { draft_to: what } } })
}

/** Raises ENGINE_NOT_FOUND, ENGINE_INVALID, ENGINE_DO_NOT_CONTACT. */
export const createApproval = async (db: Db, { draft_to: named, ...wanted }: NewApprovalInput): Promise<Approval> => {
  const lead = await requireLead(db, wanted.lead_id)
  const address = named ?? addressOf(lead, wanted.channel) ?? missingAddress()
  const draft_to = wanted.channel === 'email' ? address.toLowerCase() : address
  requireAddress(wanted.channel, draft_to)
  const insert = tables.insertInto('approvals').values({ ...given(wanted), draft_to })
  return (await firstOf(db, insert.returning(approvalColumns)))!
}

const lockApproval = async (db: Db, id: string): Promise<Approval> => {
  const { lead_id: lead } = await requireApproval(db, id)
  await lockLead(db, lead)
  const locked = await firstOf(db, select.where('id', '=', id).forUpdate())
  if (!locked) throw new EngineError('ENGINE_NOT_FOUND')
  return locked
}

const set = async (db: Db, id: string, values: Updateable<Tables['approvals']>): Promise<Approval> => {
  const update = tables.updateTable('approvals').set(values).where('id', '=', id).returning(approvalColumns)
  const changed = await firstOf(db, update)
  if (!changed) throw new EngineError('ENGINE_NOT_FOUND')
  return changed
}

/** New words of what was approved need a new approval. Raises ENGINE_NOT_FOUND, ENGINE_ILLEGAL_MOVE, ENGINE_CHANGED, ENGINE_INVALID. */
export const editApproval = async (db: Db, id: string, { version, ...change }: ApprovalChangeInput): Promise<Approval> => {
  const approval = await lockApproval(db, id)
  if (version !== undefined && version !== approval.version) throw new EngineError('ENGINE_CHANGED')
  if (change.draft_to !== undefined) requireAddress(approval.channel, change.draft_to)
  return Object.keys(change).length === 0 ? approval : set(db, id, given(change))
}

const requireMove = ({ status }: Approval, to: ApprovalStatus): void => {
  if (!mayGo(approvalMoves, status, to)) throw new EngineError('ENGINE_ILLEGAL_MOVE', `It is ${status}, and cannot become ${to}.`)
}

const move = async (db: Db, id: string, to: ApprovalStatus, values: Updateable<Tables['approvals']> = {}): Promise<Approval> => {
  const approval = await lockApproval(db, id)
  if (approval.status === to) return approval
  requireMove(approval, to)
  return set(db, id, { status: to, ...values })
}

/** Raises ENGINE_NOT_FOUND, ENGINE_ILLEGAL_MOVE, ENGINE_DO_NOT_CONTACT. */
export const submitApproval = (db: Db, id: string): Promise<Approval> => move(db, id, 'pending')

/** Back to its author. Raises ENGINE_NOT_FOUND, ENGINE_ILLEGAL_MOVE. */
export const withdrawApproval = (db: Db, id: string): Promise<Approval> => move(db, id, 'draft')

export const cancelApproval = (db: Db, id: string): Promise<Approval> => move(db, id, 'cancelled')

/**
 * `hash`: what the approver has read. Raises ENGINE_NOT_FOUND, ENGINE_ILLEGAL_MOVE, ENGINE_CHANGED, ENGINE_SELF_APPROVAL, ENGINE_DO_NOT_CONTACT.
 */
export const approve = async (db: Db, id: string, hash?: string): Promise<Approval> => {
  const approval = await lockApproval(db, id)
  if (hash !== undefined && hash !== approval.content_hash) throw new EngineError('ENGINE_CHANGED')
  if (approval.status === 'approved') return approval
  requireMove(approval, 'approved')
  return set(db, id, { status: 'approved' })
}

/** Raises ENGINE_NOT_FOUND, ENGINE_ILLEGAL_MOVE. */
export const reject = (db: Db, id: string, reason: string): Promise<Approval> =>
  move(db, id, 'rejected', { rejection_reason: reason })

/** Has it sent. What is on its way, or has been sent, is not asked for again. Raises ENGINE_NOT_FOUND, ENGINE_ILLEGAL_MOVE, ENGINE_DO_NOT_CONTACT. */
export const requestSending = async (db: Db, id: string): Promise<Approval> => {
  const approval = await lockApproval(db, id)
  if (approval.status === 'sent' || approval.status === 'sending') return approval
  const isAgain = approval.status === 'failed' && approval.approved_hash === approval.content_hash
  if (approval.status !== 'approved' && !isAgain)
    throw new EngineError('ENGINE_ILLEGAL_MOVE', `It is ${approval.status}, and what is not approved is not sent.`)
  const now = new Date().toISOString()
  return set(db, id, { send_requested_at: now, ...(isAgain && { next_retry_at: now }) })
}

/** The newest first. */
export const listApprovals = async (db: Db, query: ApprovalsQuery): Promise<Page<Approval>> => {
  const { limit, cursor } = query
  const [time, id] = parsePlace(cursor)
  let wanted = select
  for (const name of ['status', 'lead_id', 'agent_id', 'channel'] as const)
    if (query[name] !== undefined) wanted = wanted.where(name, '=', query[name] as never)
  if (time !== null) wanted = wanted.where(after(time, id))
  const rows = await rowsOf(
    db,
    wanted
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1),
  )
  return pageOf(rows, limit, ({ created_at }) => created_at)
}

const expireSql = `
  update public.approvals set status = 'expired' where id in (
    select a.id from public.approvals a join public.leads l on l.id = a.lead_id
     where a.status in ('draft', 'pending', 'approved') and a.expires_at <= $1
     order by a.expires_at limit $2 for update of l, a skip locked)
  returning id`

/** Whoever sent it died, and since then the lead is left alone: nobody takes it over. */
const abandonSql = `
  update public.approvals
     set status = 'failed', retry_count = max_retries, next_retry_at = null, last_error = 'Whether it went out is not known.'
   where id in (
    select a.id from public.approvals a join public.leads l on l.id = a.lead_id
     where a.status = 'sending' and a.claimed_until <= $1 and l.do_not_contact limit $2 for update of l, a skip locked)
  returning id`

/** Whether {@link expireApprovals} has something to do. */
export const areExpiring = async (db: Db, now: Date): Promise<boolean> => {
  const [row] = await selected<{ due: boolean }>(
    db,
    `select exists (select from public.approvals where status in ('draft', 'pending', 'approved') and expires_at <= $1)
         or exists (select from public.approvals a join public.leads l on l.id = a.lead_id
                     where a.status = 'sending' and a.claimed_until <= $1 and l.do_not_contact) as due`,
    [now],
  )
  return row!.due
}

/** What nobody decided in time, and what nobody may send any more. As the server; gives how many. Those at which somebody is wait for the next time. */
export const expireApprovals = async (db: Db, now: Date, most = 200): Promise<number> => {
  const expired = await selected(db, expireSql, [now, most])
  const abandoned = await selected(db, abandonSql, [now, most])
  return expired.length + abandoned.length
}
