/**
 * Sends what is approved, once. A message is claimed in a transaction of its own, handed over outside of any, and settled in a third; whoever claims
 * holds it for a while, and what nobody settled in time is handed over again under the same key, by which the service knows it.
 *
 *   approved ─► sending ─► sent
 *                 │ ▲        failed for now: again after a pause, doubled each time, until the attempts are used up
 *                 ▼ │
 *               failed
 */
import { type Logger, type Pool, silentLogger } from 'tidemark'
import { type Alert, createWorkUnderWay, type FailedCall, failedCall, raiseAlert, resolveAlert } from 'tidemark/app'
import type { Db } from '../rows.js'
import { selected } from '../tables.js'
import type { Courier, Message } from './courier.js'

export interface SenderOptions {
  /** As the server. */
  readonly pool: Pick<Pool, 'transaction'>
  /** Writes how it ended. `approvalId` is what caches have to let go of. Default: `pool`. */
  readonly write?: <T>(fn: (db: Db) => Promise<T>, approvalId: string) => Promise<T>
  readonly courier: Courier
  /** The pause after the first failure, doubled with each; a random part is taken off. Default 1,000. */
  readonly baseMs?: number | undefined
  /** Default 15 minutes. */
  readonly maxMs?: number | undefined
  /** How long handing over may take before somebody else does it. Default 60 s. */
  readonly leaseMs?: number | undefined
  readonly clock?: { now(): number }
  readonly log?: Logger
}

/** How it went. `none`: there was nothing to send, or somebody else has it. `put off`: not now; no attempt is counted. */
export type SendEnd = 'sent' | 'failed' | 'retrying' | 'put off' | 'none'

export interface Sender {
  /** Sends what is due, until nothing is. */
  drain(signal?: AbortSignal): Promise<void>
  /** Sends that one at once, if it is due and nobody else does. */
  send(approvalId: string): Promise<SendEnd>
  /** Waits for what runs. */
  stop(): Promise<void>
}

interface Claimed extends Message {
  readonly idempotency_key: string
  readonly retry_count: number
  readonly max_retries: number
  /** What was claimed: whoever comes later has another. */
  readonly version: number
}

type Outcome = { readonly end: 'sent'; readonly messageId: string | null } | FailedCall

/** Side by side in one process. */
const lanes = 4

/**
 * Only what is approved, word for word, to somebody who may be written to, at an hour at which one does. Whoever holds a row goes first; nobody
 * waits for anybody.
 */
const claimSql = `
  with due as (
    select a.id from public.approvals a
      join public.leads l on l.id = a.lead_id
      left join public.agents g on g.id = coalesce(l.assigned_agent, a.agent_id)
     where (   (a.status = 'approved' and a.send_requested_at is not null)
            or (a.status = 'failed' and a.next_retry_at <= $1)
            or (a.status = 'sending' and a.claimed_until < $1))
       and a.approved_hash = a.content_hash
       and a.channel = any ($2::text[])
       and ($3::uuid is null or a.id = $3)
       and (a.expires_at is null or a.expires_at > $1 or a.status = 'sending')
       and not l.do_not_contact
       and not exists (select from public.leads b where b.do_not_contact and (b.email = lower(a.draft_to) or b.phone = a.draft_to))
       and not re_engine.is_quiet(a.channel, g.timezone, $1)
     order by coalesce(a.next_retry_at, a.send_requested_at), a.id limit 1
       for update of a skip locked for share of l skip locked)
  update public.approvals a set status = 'sending', claimed_until = $1::timestamptz + $4 * interval '1 ms', next_retry_at = null
    from due where a.id = due.id
  returning a.id as approval_id, a.lead_id, a.channel, a.action_type, a.draft_to as "to", a.draft_subject as subject, a.draft_text as text,
            a.idempotency_key, a.retry_count, a.max_retries, a.version`

const leftAlone = 'The lead is not to be contacted.'

const alertOf = (approvalId: string): Alert => ({ type: 'send_failed', entityId: approvalId, entityType: 'approval' })

export const createSender = (options: SenderOptions): Sender => {
  const {
    pool,
    write = (fn) => pool.transaction(fn),
    courier,
    baseMs = 1_000,
    maxMs = 900_000,
    leaseMs = 60_000,
    clock = Date,
    log = silentLogger,
  } = options
  let isStopping = false
  const underWay = createWorkUnderWay()
  const now = (): Date => new Date(clock.now())

  const claim = async (id?: string): Promise<Claimed | undefined> => {
    const open = courier.open()
    if (open.length === 0) return undefined
    const values = [now(), open, id ?? null, leaseMs]
    return (await pool.transaction((db) => selected<Claimed>(db, claimSql, values)))[0]
  }

  const handOver = async (claimed: Claimed): Promise<Outcome> => {
    const { idempotency_key: key, retry_count: failures, max_retries: most, version: _version, ...message } = claimed
    try {
      return { end: 'sent', messageId: await courier.send(message, key, AbortSignal.timeout(leaseMs / 2)) }
    } catch (error) {
      return failedCall(error, { failures, isLast: failures >= most, baseMs, maxMs, otherwise: 'It could not be handed over.' })
    }
  }

  const note = async (db: Db, { approval_id: id }: Claimed, outcome: Outcome): Promise<void> => {
    if (outcome.end === 'sent') {
      await db.query(`update public.approvals set status = 'sent', provider_message_id = $2 where id = $1`, [
        id,
        outcome.messageId,
      ])
      return resolveAlert(db, alertOf(id))
    }
    const { end, error, waitMs } = outcome
    const again = new Date(clock.now() + waitMs)
    // It stays claimed for that long.
    if (end === 'put off')
      return void (await db.query('update public.approvals set claimed_until = $2, last_error = $3 where id = $1', [
        id,
        again,
        error,
      ]))
    await db.query(
      `update public.approvals set status = 'failed', retry_count = retry_count + 1, last_error = $2, next_retry_at = $3 where id = $1`,
      [id, error, end === 'retrying' ? again : null],
    )
    if (end === 'failed') await raiseAlert(db, alertOf(id), error, 'error')
  }

  /** Whoever asked meanwhile to be left alone took along what was open; this was under way. */
  const giveUp = async (db: Db, { approval_id: id }: Claimed, error: string): Promise<void> => {
    await db.query(`update public.approvals set status = 'failed', last_error = $2, next_retry_at = null where id = $1`, [
      id,
      error,
    ])
    await db.query(`update public.approvals set status = 'cancelled', last_error = $2 where id = $1`, [id, leftAlone])
  }

  /** Whoever took it over meanwhile says how it ended. */
  const settle = (claimed: Claimed, outcome: Outcome): Promise<SendEnd> =>
    write(async (db) => {
      const [lead] = await selected<{ left_alone: boolean }>(
        db,
        'select do_not_contact as left_alone from public.leads where id = $1 for update',
        [claimed.lead_id],
      )
      const mine = await selected(
        db,
        `select id from public.approvals where id = $1 and status = 'sending' and version = $2 for update`,
        [claimed.approval_id, claimed.version],
      )
      if (mine.length === 0) return 'none'
      if (lead?.left_alone && outcome.end !== 'sent') {
        await giveUp(db, claimed, outcome.error)
        return 'failed'
      }
      await note(db, claimed, outcome)
      return outcome.end
    }, claimed.approval_id)

  const sendOne = async (id?: string): Promise<SendEnd> => {
    const claimed = await claim(id)
    if (!claimed) return 'none'
    const outcome = await handOver(claimed)
    const { channel, approval_id: approval } = claimed
    if (outcome.end !== 'sent') log.info('a message was not sent', { channel, approval, end: outcome.end, error: outcome.error })
    return settle(claimed, outcome)
  }

  const lane = async (signal: AbortSignal | undefined): Promise<void> => {
    while (!isStopping && !signal?.aborted && (await sendOne()) !== 'none');
  }

  return {
    drain: (signal) =>
      underWay.track(
        (async () => {
          // Most of the time nothing is due.
          if (isStopping || (await sendOne()) === 'none') return
          await Promise.all(Array.from({ length: lanes }, () => lane(signal)))
        })(),
      ),
    send: async (id) => (isStopping ? 'none' : underWay.track(sendOne(id))),
    stop: async () => {
      isStopping = true
      await underWay.ended()
    },
  }
}
