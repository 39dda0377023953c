import type { Alert, NoticeKind } from '../alerts.js'
import type { Db } from '../fold/alert-rows.js'

/** One thing that one channel has to be told. */
export interface OutboxRow {
  readonly alert: Pick<Alert, 'id'> | undefined
  readonly channel: string
  readonly kind: NoticeKind
  readonly groupKey: string
  readonly idempotencyKey: string
  /** How long it waits for others. */
  readonly waitMs: number
  /** How long after the group was told of last. */
  readonly intervalMs: number
  readonly held?: string
  /** It was told straight away. */
  readonly isTold?: boolean
}

/** In the transaction of what calls for it. What was there before stays as it is. */
export const addNotifications = async (db: Db, rows: readonly OutboxRow[]): Promise<void> => {
  if (rows.length === 0) return
  const records = rows.map(({ alert, channel, kind, groupKey, idempotencyKey, waitMs, intervalMs, held, isTold = false }) => ({
    alert_id: alert?.id ?? null,
    channel,
    kind,
    group_key: groupKey,
    idempotency_key: idempotencyKey,
    wait_ms: waitMs,
    interval_ms: intervalMs,
    held: held ?? null,
    told: isTold,
  }))
  await db.query(
    `insert into tidemark.alert_notifications (alert_id, channel, kind, group_key, idempotency_key, held, status, attempt, delivered_at, due_at)
     select r.alert_id, r.channel, r.kind, r.group_key, r.idempotency_key, r.held,
            case when r.told then 'delivered' else 'waiting' end, case when r.told then 1 else 0 end,
            case when r.told then clock_timestamp() end,
            greatest(clock_timestamp() + r.wait_ms * interval '1 ms',
              (select max(n.delivered_at) from tidemark.alert_notifications n
                where n.channel = r.channel and n.group_key = r.group_key and n.status = 'delivered') + r.interval_ms * interval '1 ms')
       from jsonb_array_elements($1::jsonb) with ordinality as given(item, place),
            jsonb_to_record(item) as r (alert_id uuid, channel text, kind text, group_key text, idempotency_key text, wait_ms float8,
              interval_ms float8, held text, told boolean)
      order by place
         on conflict (channel, idempotency_key) do nothing`,
    [JSON.stringify(records)],
  )
  const told = rows.flatMap(({ alert, isTold }) => (isTold && alert ? [alert.id] : []))
  if (told.length > 0) await db.query('update public.alerts set notification_sent = true where id = any($1)', [told])
}
