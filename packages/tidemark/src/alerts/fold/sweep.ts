import type { Pool } from '../../postgres/postgres.js'
import type { Alert } from '../alerts.js'
import { noticeKeys } from '../notify/keys.js'
import { addNotifications, type OutboxRow } from '../notify/outbox.js'
import type { Routes } from '../notify/routes.js'
import { type AlertEvent, addEvents, alertColumns, type Db, toAlert } from './alert-rows.js'
import { foldLockSql } from './fold-job.js'

export interface DeadMansSwitch {
  /** Name of the channel that expects a sign of life. */
  readonly channel: string
  readonly everyMs: number
}

export interface SweepOptions {
  readonly routes: Routes
  /** A node that has not said for so long that something goes on does not see it any more. */
  readonly resolveTimeoutMs: number
  readonly deadMansSwitch: DeadMansSwitch | undefined
}

/** Ends what nobody sees any more: its node may be dead. What no node watches ends by a word alone. */
const endUnseen = async (db: Db, { resolveTimeoutMs, routes }: SweepOptions): Promise<void> => {
  await db.query(`delete from tidemark.alert_sources where source <> '' and seen_at < clock_timestamp() - $1 * interval '1 ms'`, [
    resolveTimeoutMs,
  ])
  const { rows } = await db.query<Parameters<typeof toAlert>[0]>(
    `update public.alerts a set status = 'resolved', resolved_at = greatest(clock_timestamp(), a.timestamp), resolved_by = 'timeout'
      where a.status <> 'resolved' and not exists (select from tidemark.alert_sources s where s.alert_id = a.id)
     returning ${alertColumns}`,
  )
  const ended = rows.map(toAlert)
  await addEvents(
    db,
    ended.map(({ id, fingerprint }) => ({ alertId: id, fingerprint, kind: 'resolved', actor: 'timeout' })),
  )
  await addNotifications(db, ended.flatMap(resolvedRows(routes)))
}

/** What tells of the end of an alert. */
export const resolvedRows =
  (routes: Routes) =>
  (alert: Alert): readonly OutboxRow[] => {
    const route = routes.of(alert)
    if (!route.sendResolved) return []
    const groupKey = routes.groupKeyOf(alert, route)
    return route.channels.map((channel) => ({
      alert,
      channel,
      groupKey,
      kind: 'resolved',
      idempotencyKey: noticeKeys.resolved(alert),
      waitMs: 0,
      intervalMs: 0,
    }))
  }

interface Unacknowledged {
  readonly openForMs: number
  readonly escalated: boolean
  readonly channel: string | null
  readonly toldAgoMs: number | null
  readonly waiting: boolean | null
  readonly repeats: number | null
}

const unacknowledgedSql = `
  select ${alertColumns}, (extract(epoch from clock_timestamp() - a.created_at) * 1000)::float8 as "openForMs",
         exists (select from tidemark.alert_notifications n where n.alert_id = a.id and n.kind = 'escalated') as escalated,
         t.channel, t."toldAgoMs", t.waiting, t.repeats
    from public.alerts a
    left join lateral (
      select n.channel, (extract(epoch from clock_timestamp() - max(n.delivered_at)) * 1000)::float8 as "toldAgoMs",
             bool_or(n.status = 'waiting') as waiting, count(*) filter (where n.kind = 'repeat')::int as repeats
        from tidemark.alert_notifications n
       where n.alert_id = a.id and n.kind in ('firing', 'repeat', 'escalated', 'flapping') group by n.channel) t on true
   where a.status = 'active' and a.severity <> 'info' order by a.id limit 5000`

/** What nobody acknowledged: told again from time to time, and to others after a time. */
const remind = async (db: Db, { routes }: SweepOptions): Promise<void> => {
  const { rows } = await db.query<Parameters<typeof toAlert>[0] & Unacknowledged>(unacknowledgedSql)
  const added: OutboxRow[] = []
  const events = new Map<string, AlertEvent>()
  for (const { openForMs, escalated, channel, toldAgoMs, waiting, repeats, ...row } of rows) {
    const alert = toAlert(row)
    const route = routes.of(alert)
    const shared = { alert, groupKey: routes.groupKeyOf(alert, route), waitMs: 0, intervalMs: 0 }
    if (route.escalateAfterMs !== undefined && !escalated && openForMs >= route.escalateAfterMs && !events.has(alert.id)) {
      events.set(alert.id, { alertId: alert.id, fingerprint: alert.fingerprint, kind: 'escalated' })
      for (const to of route.escalateTo)
        added.push({ ...shared, channel: to, kind: 'escalated', idempotencyKey: noticeKeys.escalated(alert) })
    }
    const isDue = channel !== null && toldAgoMs !== null && waiting === false && toldAgoMs >= route.repeatIntervalMs
    if (isDue && route.channels.includes(channel))
      added.push({ ...shared, channel, kind: 'repeat', idempotencyKey: noticeKeys.repeat(alert, (repeats ?? 0) + 1) })
  }
  await addEvents(db, [...events.values()])
  await addNotifications(db, added)
}

/** A sign of life that goes the whole way: who expects it raises the alarm when it stays away. */
const addSignOfLife = async (db: Db, { deadMansSwitch }: SweepOptions): Promise<void> => {
  if (!deadMansSwitch) return
  const { channel, everyMs } = deadMansSwitch
  // One that did not get through is worth nothing when the next is due.
  await db.query(
    `update tidemark.alert_notifications set status = 'dropped', held = 'the next is due'
      where kind = 'watchdog' and status = 'waiting' and created_at < clock_timestamp() - $1 * interval '1 ms'`,
    [everyMs],
  )
  const { rows } = await db.query<{ readonly due: boolean; readonly tick: string }>(
    `select coalesce(max(created_at) < clock_timestamp() - $2 * interval '1 ms', true) as due,
            (extract(epoch from clock_timestamp()) * 1000)::bigint::text as tick
       from tidemark.alert_notifications where kind = 'watchdog' and channel = $1`,
    [channel, everyMs],
  )
  const [{ due, tick } = { due: false, tick: '' }] = rows
  if (!due) return
  const idempotencyKey = `watchdog:${tick}`
  await addNotifications(db, [
    { alert: undefined, channel, kind: 'watchdog', groupKey: 'watchdog', idempotencyKey, waitMs: 0, intervalMs: 0 },
  ])
  await db.query(
    `delete from tidemark.alert_notifications where kind = 'watchdog' and status <> 'waiting'
        and created_at < clock_timestamp() - interval '1 hour' - $1 * interval '1 ms'`,
    [everyMs],
  )
}

/** What happens because time passes; by one node at a time. */
export const sweep = (pool: Pick<Pool, 'transaction'>, options: SweepOptions): Promise<boolean> =>
  pool.transaction(async (db) => {
    const { rows } = await db.query<{ readonly locked: boolean }>(foldLockSql)
    if (!rows[0]?.locked) return false
    await endUnseen(db, options)
    await remind(db, options)
    await addSignOfLife(db, options)
    return true
  })
