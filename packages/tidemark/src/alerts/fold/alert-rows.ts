import type { Client } from '../../postgres/postgres.js'
import type { Alert, AlertSignal } from '../alerts.js'

export type Db = Pick<Client, 'query'>

const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`

/** Columns of `public.alerts a` as an {@link Alert}. */
export const alertColumns = `a.id::text as id, a.alert_type as "alertType", a.entity_type as "entityType", a.entity_id as "entityId",
  a.labels, a.message, a.severity, a.status, a.occurrences, a.fingerprint, ${ms('a.timestamp')} as "startedAtMs",
  ${ms('a.last_seen_at')} as "lastSeenAtMs", ${ms('a.resolved_at')} as "resolvedAtMs", a.acknowledged_by as "acknowledgedBy"`

type AlertRow = Omit<Alert, 'resolvedAtMs' | 'acknowledgedBy'> & {
  readonly resolvedAtMs: number | null
  readonly acknowledgedBy: string | null
}

export const toAlert = ({ resolvedAtMs, acknowledgedBy, ...row }: AlertRow): Alert => ({
  ...row,
  resolvedAtMs: resolvedAtMs ?? undefined,
  acknowledgedBy: acknowledgedBy ?? undefined,
})

export type WaitingSignal = AlertSignal & { readonly fingerprint: string }

type SignalRow = Omit<WaitingSignal, 'proposedId'> & { readonly proposedId: string | null }

/** The signals that nobody has folded, oldest first. */
export const readSignals = async (db: Db, most: number): Promise<readonly WaitingSignal[]> => {
  const { rows } = await db.query<SignalRow>(
    `select id::text as id, kind, alert_type as "alertType", entity_type as "entityType", entity_id as "entityId", message, severity,
            labels, source, ${ms('raised_at')} as "raisedAtMs", told, proposed_id::text as "proposedId",
            tidemark.alert_fingerprint(alert_type, entity_type, entity_id, labels) as fingerprint
       from tidemark.alert_signals where folded_at is null order by seq limit $1`,
    [most],
  )
  return rows.map(({ proposedId, ...row }) => ({ ...row, proposedId: proposedId ?? undefined }))
}

/** The open alert of each condition, locked: an operator's word may come at the same time. */
export const readOpen = async (db: Db, fingerprints: readonly string[]): Promise<readonly Alert[]> => {
  const { rows } = await db.query<AlertRow>(
    `select ${alertColumns} from public.alerts a where fingerprint = any($1) and status <> 'resolved' order by a.id for update`,
    [fingerprints],
  )
  return rows.map(toAlert)
}

export const readLast = async (db: Db, fingerprints: readonly string[]) =>
  (
    await db.query<{ readonly fingerprint: string; readonly id: string; readonly resolvedAtMs: number }>(
      `select distinct on (fingerprint) fingerprint, id::text as id, ${ms('resolved_at')} as "resolvedAtMs"
         from public.alerts where fingerprint = any($1) and status = 'resolved' order by fingerprint, timestamp desc`,
      [fingerprints],
    )
  ).rows

export const readSources = async (db: Db, alertIds: readonly string[]) =>
  (
    await db.query<{ readonly alertId: string; readonly source: string; readonly seenAtMs: number }>(
      `select alert_id::text as "alertId", source, ${ms('seen_at')} as "seenAtMs" from tidemark.alert_sources where alert_id = any($1)`,
      [alertIds],
    )
  ).rows

export const readTaken = async (db: Db, ids: readonly string[]): Promise<ReadonlySet<string>> => {
  if (ids.length === 0) return new Set()
  const { rows } = await db.query<{ readonly id: string }>('select id::text as id from public.alerts where id = any($1)', [ids])
  return new Set(rows.map(({ id }) => id))
}

/** How often each condition began and ended within a time, and whether it was said of it that it comes and goes. */
export const readChanges = async (db: Db, fingerprints: readonly string[], overMs: number) =>
  (
    await db.query<{ readonly fingerprint: string; readonly changes: number; readonly told: boolean }>(
      `select fingerprint, count(*) filter (where kind in ('opened', 'resolved'))::int as changes, bool_or(kind = 'flapping') as told
         from tidemark.alert_events
        where fingerprint = any($1) and at > clock_timestamp() - $2 * interval '1 ms' and kind in ('opened', 'resolved', 'flapping')
        group by 1`,
      [fingerprints, overMs],
    )
  ).rows

const recordset = `(id uuid, alert_type text, entity_type text, entity_id text, labels jsonb, message text, severity text, status text,
  occurrences int, started float8, seen float8, resolved float8)`

const at = (column: string): string => `to_timestamp(${column} / 1000)`

const asRecord = (alert: Alert) => ({
  id: alert.id,
  alert_type: alert.alertType,
  entity_type: alert.entityType,
  entity_id: alert.entityId,
  labels: alert.labels,
  message: alert.message,
  severity: alert.severity,
  status: alert.status,
  occurrences: alert.occurrences,
  started: alert.startedAtMs,
  seen: alert.lastSeenAtMs,
  resolved: alert.resolvedAtMs ?? null,
})

/** Those that were there first: one that ends makes room for the next of its condition. */
export const writeAlerts = async (db: Db, changed: readonly Alert[], created: readonly Alert[]): Promise<void> => {
  if (changed.length > 0)
    await db.query(
      `update public.alerts a set message = r.message, severity = r.severity, status = r.status, occurrences = r.occurrences,
              last_seen_at = ${at('r.seen')}, resolved_at = ${at('r.resolved')},
              acknowledged_at = case when r.status <> 'active' then a.acknowledged_at end,
              acknowledged_by = case when r.status <> 'active' then a.acknowledged_by end
         from jsonb_to_recordset($1::jsonb) as r ${recordset} where a.id = r.id`,
      [JSON.stringify(changed.map(asRecord))],
    )
  if (created.length > 0)
    await db.query(
      `insert into public.alerts (id, alert_type, entity_type, entity_id, labels, message, severity, status, occurrences, timestamp,
              last_seen_at, resolved_at)
       select id, alert_type, entity_type, entity_id, labels, message, severity, status, occurrences, ${at('started')}, ${at('seen')},
              ${at('resolved')}
         from jsonb_to_recordset($1::jsonb) as r ${recordset}`,
      [JSON.stringify(created.map(asRecord))],
    )
}

export interface AlertEvent {
  readonly alertId: string
  readonly fingerprint: string
  readonly kind:
    | 'opened'
    | 'repeated'
    | 'raised'
    | 'acknowledged'
    | 'resolved'
    | 'notified'
    | 'undelivered'
    | 'flapping'
    | 'escalated'
  readonly actor?: string
  readonly details?: Readonly<Record<string, unknown>>
}

export const addEvents = async (db: Db, events: readonly AlertEvent[]): Promise<void> => {
  if (events.length === 0) return
  const rows = events.map(({ alertId, fingerprint, kind, actor = '', details = {} }) => ({
    alert_id: alertId,
    fingerprint,
    kind,
    actor,
    details,
  }))
  await db.query(
    `insert into tidemark.alert_events (alert_id, fingerprint, kind, actor, details)
     select r.alert_id, r.fingerprint, r.kind, r.actor, r.details
       from jsonb_array_elements($1::jsonb) with ordinality as given(item, place),
            jsonb_to_record(item) as r (alert_id uuid, fingerprint text, kind text, actor text, details jsonb)
      order by place`,
    [JSON.stringify(rows)],
  )
}

export const writeSources = async (
  db: Db,
  sources: readonly { readonly alertId: string; readonly source: string; readonly seenAtMs: number }[],
  touched: readonly string[],
): Promise<void> => {
  await db.query('delete from tidemark.alert_sources where alert_id = any($1)', [touched])
  if (sources.length === 0) return
  await db.query(
    `insert into tidemark.alert_sources (alert_id, source, seen_at)
     select * from unnest($1::uuid[], $2::text[], (select array_agg(${at('seen')}) from unnest($3::float8[]) as seen))`,
    [sources.map(({ alertId }) => alertId), sources.map(({ source }) => source), sources.map(({ seenAtMs }) => seenAtMs)],
  )
}

export const markFolded = async (db: Db, of: ReadonlyMap<string, string | null>): Promise<void> => {
  await db.query(
    `update tidemark.alert_signals s set folded_at = clock_timestamp(), alert_id = r.alert_id
       from unnest($1::uuid[], $2::uuid[]) as r (id, alert_id) where s.id = r.id`,
    [[...of.keys()], [...of.values()]],
  )
}
