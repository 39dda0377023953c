import type { Pool } from '../../postgres/postgres.js'
import type { AlertsMetrics } from '../alerts-metrics.js'

/** Whether anything waits to be folded, and to be sent. */
export const readWaiting = async (pool: Pick<Pool, 'query'>): Promise<{ readonly unfolded: boolean; readonly due: boolean }> => {
  const { rows } = await pool.query<{ readonly unfolded: boolean; readonly due: boolean }>(
    `select exists (select from tidemark.alert_signals where folded_at is null) as unfolded,
            exists (select from tidemark.alert_notifications where status = 'waiting' and due_at <= clock_timestamp()
                       and (claimed_until is null or claimed_until < clock_timestamp())) as due`,
    [],
    { idempotent: true },
  )
  return rows[0]!
}

interface Measured {
  readonly unfolded: number
  readonly open: Readonly<Record<string, number>>
  readonly undelivered: Readonly<Record<string, number>>
}

const sql = `
  select coalesce((select extract(epoch from clock_timestamp() - min(raised_at)) from tidemark.alert_signals where folded_at is null), 0)::float8 as unfolded,
         coalesce((select jsonb_object_agg(severity, n) from
           (select severity, count(*) as n from public.alerts where status <> 'resolved' group by 1) o), '{}') as open,
         coalesce((select jsonb_object_agg(channel, seconds) from
           (select channel, max(extract(epoch from clock_timestamp() - created_at)) as seconds from tidemark.alert_notifications
             where status = 'waiting' and attempt > 0 group by 1) w), '{}') as undelivered`

/** How far behind the way of alerts is, over all nodes. */
export const measureAlerts = async (
  pool: Pick<Pool, 'query'>,
  metrics: AlertsMetrics,
  channels: readonly string[],
): Promise<void> => {
  const { rows } = await pool.query<Measured>(sql, [], { idempotent: true })
  const { unfolded, open, undelivered } = rows[0]!
  metrics.showWaiting(unfolded, new Map(channels.map((channel) => [channel, Number(undelivered[channel] ?? 0)])))
  metrics.showOpen(new Map(Object.entries(open)))
}
