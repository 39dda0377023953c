import { randomUUID } from 'node:crypto'
import type { Pool } from '../../postgres/postgres.js'
import type { Alert, NoticeKind } from '../alerts.js'
import { alertColumns, type Db, toAlert } from '../fold/alert-rows.js'
import { type Matcher, matchesAll } from './matchers.js'
import { matchedLabels } from './routes.js'

/** How long something that must not be told now waits before it is looked at again. */
const lookAgainMs = 15_000

const mostAtOnce = 500

export interface WaitingRow {
  readonly id: string
  readonly channel: string
  readonly kind: NoticeKind
  readonly groupKey: string
  readonly idempotencyKey: string
  readonly batch: string | null
  readonly attempt: number
  readonly alertId: string | null
  readonly isDue: boolean
}

interface Silence {
  readonly id: string
  readonly matchers: readonly Matcher[]
  readonly leftMs: number
}

/** What is known when it is decided what is told. */
export interface Surroundings {
  readonly alerts: ReadonlyMap<string, Alert>
  readonly silences: readonly Silence[]
  /** Types of alerts that say no more than one that is open, and which. */
  readonly muted: ReadonlyMap<string, string>
  /** Whether the beginning of an alert was told to a channel, or tried. */
  readonly wasTold: (alertId: string, channel: string) => boolean
  /** Channels that tell everything, whatever is silenced. */
  readonly unfiltered: ReadonlySet<string>
}

export type Decision =
  | { readonly do: 'send' }
  | { readonly do: 'drop'; readonly why: string }
  | { readonly do: 'hold'; readonly why: string; readonly ms: number }

const send: Decision = { do: 'send' }

/** What becomes of something that is due. */
export const decide = (row: WaitingRow, around: Surroundings): Decision => {
  if (row.kind === 'watchdog' || row.kind === 'test') return send
  const alert = row.alertId === null ? undefined : around.alerts.get(row.alertId)
  if (!alert) return { do: 'drop', why: 'the alert is forgotten' }
  if (around.unfiltered.has(row.channel)) return send
  if (row.kind === 'resolved')
    return around.wasTold(alert.id, row.channel) ? send : { do: 'drop', why: 'its beginning was not told' }
  if (row.kind === 'flapping') return send
  if (alert.status === 'resolved') return { do: 'drop', why: 'it ended before' }
  if (alert.status === 'acknowledged' && row.kind !== 'firing') return { do: 'drop', why: 'it is acknowledged' }
  const labels = matchedLabels(alert)
  const silence = around.silences.find(({ matchers }) => matchesAll(matchers, labels))
  if (silence) return { do: 'hold', why: `silenced by ${silence.id}`, ms: Math.min(silence.leftMs, lookAgainMs) }
  const muter = around.muted.get(alert.alertType)
  if (muter !== undefined && muter !== alert.alertType) return { do: 'hold', why: `muted by ${muter}`, ms: lookAgainMs }
  return send
}

export interface ClaimOptions {
  /** Types that an open alert of a type makes superfluous. */
  readonly mutes: ReadonlyMap<string, readonly string[]>
  readonly unfiltered: ReadonlySet<string>
  /** Channels of this process; what is for others stays. */
  readonly channels: readonly string[]
  readonly leaseMs: number
}

/** Several that go together. */
export interface ClaimedBatch {
  readonly channel: string
  /** The name of the message. */
  readonly batch: string
  readonly groupKey: string
  readonly attempt: number
  readonly rows: readonly (WaitingRow & { readonly alert: Alert | undefined })[]
}

/** What is due, and what waits in the same groups. */
const readDue = async (db: Db, channels: readonly string[]): Promise<readonly WaitingRow[]> => {
  const free = `status = 'waiting' and (claimed_until is null or claimed_until < clock_timestamp())`
  const { rows } = await db.query<WaitingRow>(
    `with due as (
       select channel, group_key from tidemark.alert_notifications
        where ${free} and due_at <= clock_timestamp() and channel = any($1) order by due_at limit ${mostAtOnce}
     )
     select id::text as id, channel, kind, group_key as "groupKey", idempotency_key as "idempotencyKey", batch, attempt,
            alert_id::text as "alertId", due_at <= clock_timestamp() as "isDue"
       from tidemark.alert_notifications
      where ${free} and channel = any($1)
        and (due_at <= clock_timestamp() or (attempt = 0 and held is null and (channel, group_key) in (select channel, group_key from due)))
      order by due_at, seq limit ${mostAtOnce} for update skip locked`,
    [channels],
  )
  return rows
}

const readAlerts = async (db: Db, ids: readonly string[]): Promise<ReadonlyMap<string, Alert>> => {
  const { rows } = await db.query<Parameters<typeof toAlert>[0]>(
    `select ${alertColumns} from public.alerts a where id = any($1)`,
    [ids],
  )
  return new Map(rows.map((row) => [row.id, toAlert(row)]))
}

const readSurroundings = async (db: Db, rows: readonly WaitingRow[], options: ClaimOptions): Promise<Surroundings> => {
  const ids = [...new Set(rows.flatMap(({ alertId }) => alertId ?? []))]
  const alerts = await readAlerts(db, ids)
  const { rows: silences } = await db.query<Silence>(
    `select id::text as id, matchers, (extract(epoch from ends_at - clock_timestamp()) * 1000)::float8 as "leftMs"
       from tidemark.alert_silences where starts_at <= clock_timestamp() and ends_at > clock_timestamp()`,
  )
  const { rows: open } = await db.query<{ readonly type: string }>(
    `select distinct alert_type as type from public.alerts where status <> 'resolved' and alert_type = any($1)`,
    [[...options.mutes.keys()]],
  )
  const { rows: told } = await db.query<{ readonly alertId: string; readonly channel: string }>(
    `select alert_id::text as "alertId", channel from tidemark.alert_notifications
      where alert_id = any($1) and kind in ('firing', 'repeat', 'escalated', 'flapping') and attempt > 0 group by 1, 2`,
    [ids],
  )
  const toldTo = new Set(told.map(({ alertId, channel }) => `${alertId} ${channel}`))
  return {
    alerts,
    silences,
    muted: new Map(open.flatMap(({ type }) => (options.mutes.get(type) ?? []).map((muted) => [muted, type] as const))),
    wasTold: (alertId, channel) => toldTo.has(`${alertId} ${channel}`),
    unfiltered: options.unfiltered,
  }
}

const batched = (rows: readonly WaitingRow[], alerts: ReadonlyMap<string, Alert>): readonly ClaimedBatch[] => {
  const batches = new Map<string, { first: WaitingRow; rows: (WaitingRow & { alert: Alert | undefined })[] }>()
  for (const row of rows) {
    const key = JSON.stringify([row.channel, row.batch ?? ['of', row.groupKey]])
    const known = batches.get(key) ?? { first: row, rows: [] }
    known.rows.push({ ...row, alert: row.alertId === null ? undefined : alerts.get(row.alertId) })
    batches.set(key, known)
  }
  return [...batches.values()].map(({ first, rows }) => ({
    // One that goes alone has the name that it has on every way. A name that was given stays, whatever has become of the others.
    batch: first.batch ?? (rows.length === 1 ? first.idempotencyKey : randomUUID()),
    rows,
    channel: first.channel,
    groupKey: first.groupKey,
    attempt: first.attempt + 1,
  }))
}

const write = async (
  db: Db,
  decided: ReadonlyMap<string, Decision>,
  batches: readonly ClaimedBatch[],
  leaseMs: number,
): Promise<void> => {
  const of = [...decided].flatMap(([id, decision]) => (decision.do === 'send' ? [] : [{ id, ...decision }]))
  if (of.length > 0)
    await db.query(
      `update tidemark.alert_notifications n
          set status = case when r.ms is null then 'dropped' else 'waiting' end, held = r.why,
              due_at = case when r.ms is null then n.due_at else clock_timestamp() + r.ms * interval '1 ms' end
         from unnest($1::uuid[], $2::text[], $3::float8[]) as r (id, why, ms) where n.id = r.id`,
      [of.map(({ id }) => id), of.map(({ why }) => why), of.map((each) => (each.do === 'hold' ? each.ms : null))],
    )
  const claimed = batches.flatMap(({ batch, rows }) => rows.map(({ id }) => ({ id, batch })))
  if (claimed.length > 0)
    await db.query(
      `update tidemark.alert_notifications n set attempt = attempt + 1, held = null, batch = r.batch,
              claimed_until = clock_timestamp() + $3 * interval '1 ms'
         from unnest($1::uuid[], $2::text[]) as r (id, batch) where n.id = r.id`,
      [claimed.map(({ id }) => id), claimed.map(({ batch }) => batch), leaseMs],
    )
}

/** Takes what is due; nobody else gets it before its time is over. */
export const claimDue = (pool: Pick<Pool, 'transaction'>, options: ClaimOptions): Promise<readonly ClaimedBatch[]> =>
  pool.transaction(async (db) => {
    const rows = await readDue(db, options.channels)
    if (rows.length === 0) return []
    const around = await readSurroundings(db, rows, options)
    const decided = new Map(rows.map((row) => [row.id, decide(row, around)]))
    const batches = batched(
      rows.filter(({ id }) => decided.get(id)?.do === 'send'),
      around.alerts,
    )
    await write(db, decided, batches, options.leaseMs)
    return batches
  })
