import type { Pool } from '../../postgres/postgres.js'
import type { AlertSeverity } from '../alerts.js'
import { type AlertEvent, addEvents } from '../fold/alert-rows.js'
import type { ClaimedBatch } from './claim.js'
import { noticeKeys } from './keys.js'
import { addNotifications } from './outbox.js'

/** What tells somebody that there is trouble; a hint or a sign of life does not. */
const telling: ReadonlySet<string> = new Set(['firing', 'repeat', 'escalated', 'flapping'])

const events = (batch: ClaimedBatch, kind: AlertEvent['kind'], details: AlertEvent['details']): readonly AlertEvent[] =>
  batch.rows.flatMap(({ alert, kind: what }) =>
    alert
      ? [{ alertId: alert.id, fingerprint: alert.fingerprint, kind, actor: batch.channel, details: { what, ...details } }]
      : [],
  )

/** Only who still has it may say what became of it. */
const mine = `id = any($1) and batch = $2 and attempt = $3 and status = 'waiting'`

const idsOf = ({ rows }: ClaimedBatch): readonly string[] => rows.map(({ id }) => id)

/** It was taken. `counts`: by somebody who is told by it. */
export const recordDelivered = (
  pool: Pick<Pool, 'transaction'>,
  batch: ClaimedBatch,
  providerId: string | undefined,
  counts: boolean,
): Promise<void> =>
  pool.transaction(async (db) => {
    const { rowCount } = await db.query(
      `update tidemark.alert_notifications set status = 'delivered', delivered_at = clock_timestamp(), claimed_until = null, error = null,
              provider_id = $4 where ${mine}`,
      [idsOf(batch), batch.batch, batch.attempt, providerId ?? null],
    )
    if (rowCount === 0) return
    const told = batch.rows.flatMap(({ alert, kind }) => (alert && telling.has(kind) ? [alert.id] : []))
    if (!counts) return
    if (told.length > 0) await db.query('update public.alerts set notification_sent = true where id = any($1)', [told])
    await addEvents(db, events(batch, 'notified', { attempt: batch.attempt }))
  })

export interface Undelivered {
  readonly reason: string
  /** Until it is tried again; undefined where it is given up. */
  readonly againInMs: number | undefined
  /** Who is told in its place. */
  readonly fallback: string | undefined
}

/** It was not taken. */
export const recordUndelivered = (
  pool: Pick<Pool, 'transaction'>,
  batch: ClaimedBatch,
  { reason, againInMs, fallback }: Undelivered,
): Promise<void> =>
  pool.transaction(async (db) => {
    const { rowCount } = await db.query(
      `update tidemark.alert_notifications
          set status = case when $5::float8 is null then 'failed' else 'waiting' end, claimed_until = null, error = $4,
              due_at = clock_timestamp() + coalesce($5::float8, 0) * interval '1 ms'
        where ${mine}`,
      [idsOf(batch), batch.batch, batch.attempt, reason.slice(0, 500), againInMs ?? null],
    )
    if (rowCount === 0) return
    await addEvents(
      db,
      events(batch, 'undelivered', { attempt: batch.attempt, reason: reason.slice(0, 500), isGivenUp: againInMs === undefined }),
    )
    if (fallback === undefined) return
    await addNotifications(
      db,
      batch.rows.map(({ alert, kind, groupKey, idempotencyKey }) => ({
        alert,
        kind,
        groupKey,
        channel: fallback,
        idempotencyKey: noticeKeys.instead(idempotencyKey, batch.channel),
        waitMs: 0,
        intervalMs: 0,
      })),
    )
  })

/** It was not even tried: the attempt does not count. */
export const putOff = (pool: Pick<Pool, 'query'>, batch: ClaimedBatch, why: string, ms: number): Promise<unknown> =>
  pool.query(
    `update tidemark.alert_notifications set attempt = attempt - 1, claimed_until = null, held = $4,
            due_at = clock_timestamp() + $5 * interval '1 ms' where ${mine}`,
    [idsOf(batch), batch.batch, batch.attempt, why, ms],
  )

export const isGrave = (severity: AlertSeverity): boolean => severity === 'critical' || severity === 'error'
