import { TidemarkError } from '../errors.js'
import type { Pool } from '../postgres/postgres.js'
import type { Alert } from './alerts.js'
import { addEvents, alertColumns, type Db, toAlert } from './fold/alert-rows.js'
import { resolvedRows } from './fold/sweep.js'
import { type Matcher, parseMatcher } from './notify/matchers.js'
import { addNotifications } from './notify/outbox.js'
import type { Routes } from './notify/routes.js'

/** Who wants to hear nothing, of what, and until when. */
export interface SilenceRow {
  readonly id: string
  readonly matchers: readonly Matcher[]
  readonly author: string
  readonly comment: string
  readonly startsAt: Date
  readonly endsAt: Date
}

const silenceColumns = `id::text as id, matchers, author, comment, starts_at as "startsAt", ends_at as "endsAt"`

/** The audit log names who did it. */
const asActor = <T>(pool: Pick<Pool, 'transaction'>, actor: string, fn: (db: Db) => Promise<T>): Promise<T> =>
  pool.transaction(fn, { settings: { 'tidemark.actor': actor } })

export interface SilenceInput {
  /** `alert_type=disk`; all have to hold. */
  readonly matchers: readonly string[]
  readonly author: string
  readonly comment: string
  readonly forMs: number
}

/** Raises TM_ALERTS_MATCHER. */
export const addSilence = async (pool: Pick<Pool, 'transaction'>, input: SilenceInput): Promise<SilenceRow> => {
  const { author, comment, forMs } = input
  const matchers = input.matchers.map(parseMatcher)
  // One that matches everything is a mistake more often than a wish.
  if (matchers.length === 0) throw new TidemarkError('TM_ALERTS_MATCHER', { matcher: '' })
  return asActor(pool, author, async (db) => {
    const { rows } = await db.query<SilenceRow>(
      `insert into tidemark.alert_silences (matchers, author, comment, ends_at)
       values ($1, $2, $3, now() + $4 * interval '1 ms') returning ${silenceColumns}`,
      [JSON.stringify(matchers), author, comment, forMs],
    )
    return rows[0]!
  })
}

/** As a pattern of SQL: ids that begin so. */
const beginning = (id: string): string => `${id.toLowerCase().replace(/[^0-9a-f-]/g, '?')}%`

/** The one that an id, or the beginning of one, means. */
const only = <T>(rows: readonly T[], id: string, what: string): T => {
  const [found] = rows
  if (found && rows.length === 1 && id.length >= 4) return found
  throw new TidemarkError('TM_ALERTS_UNKNOWN', { what: rows.length > 1 ? `single ${what}` : what, id: id.slice(0, 64) })
}

/** Ends a silence, which its id or the beginning of that names, before its time. Raises TM_ALERTS_UNKNOWN. */
export const endSilence = (pool: Pick<Pool, 'transaction'>, id: string, actor: string): Promise<SilenceRow> =>
  asActor(pool, actor, async (db) => {
    const { rows } = await db.query<Pick<SilenceRow, 'id'>>(
      `select id::text as id from tidemark.alert_silences where id::text like $1 and ends_at > now() limit 2 for update`,
      [beginning(id)],
    )
    const ended = await db.query<SilenceRow>(
      `update tidemark.alert_silences set ends_at = now() where id = $1 returning ${silenceColumns}`,
      [only(rows, id, 'silence in force').id],
    )
    return ended.rows[0]!
  })

export const listSilences = async (pool: Pick<Pool, 'query'>): Promise<readonly SilenceRow[]> =>
  (
    await pool.query<SilenceRow>(
      `select ${silenceColumns} from tidemark.alert_silences where ends_at > now() order by ends_at`,
      [],
      { idempotent: true },
    )
  ).rows

export interface ListOptions {
  readonly status?: 'open' | Alert['status'] | 'all'
  readonly limit?: number
}

/** The newest first. */
export const listAlerts = async (
  pool: Pick<Pool, 'query'>,
  { status = 'open', limit = 100 }: ListOptions = {},
): Promise<readonly Alert[]> => {
  const { rows } = await pool.query<Parameters<typeof toAlert>[0]>(
    `select ${alertColumns} from public.alerts a
      where $1 = 'all' or a.status = $1 or ($1 = 'open' and a.status <> 'resolved') order by a.timestamp desc, a.id limit $2`,
    [status, limit],
    { idempotent: true },
  )
  return rows.map(toAlert)
}

/** Which alert an id, or the beginning of one, means. Raises TM_ALERTS_UNKNOWN. */
const lockOpen = async (db: Db, id: string): Promise<Alert> => {
  const { rows } = await db.query<Parameters<typeof toAlert>[0]>(
    `select ${alertColumns} from public.alerts a where a.id::text like $1 and a.status <> 'resolved' limit 2 for update`,
    [beginning(id)],
  )
  return toAlert(only(rows, id, 'open alert'))
}

/** Somebody looks after it: it is not told again, and not escalated. Raises TM_ALERTS_UNKNOWN. */
export const acknowledgeAlert = (pool: Pick<Pool, 'transaction'>, id: string, actor: string): Promise<Alert> =>
  asActor(pool, actor, async (db) => {
    const alert = await lockOpen(db, id)
    if (alert.status === 'acknowledged') return alert
    await db.query(
      `update public.alerts set status = 'acknowledged', acknowledged_at = clock_timestamp(), acknowledged_by = $2 where id = $1`,
      [alert.id, actor],
    )
    await addEvents(db, [{ alertId: alert.id, fingerprint: alert.fingerprint, kind: 'acknowledged', actor }])
    return { ...alert, status: 'acknowledged', acknowledgedBy: actor }
  })

/** Ends it by an operator's word. Who still sees it says so, and opens another. Raises TM_ALERTS_UNKNOWN. */
export const resolveAlert = (pool: Pick<Pool, 'transaction'>, id: string, actor: string, routes: Routes): Promise<Alert> =>
  asActor(pool, actor, async (db) => {
    const alert = await lockOpen(db, id)
    const { rows } = await db.query<Parameters<typeof toAlert>[0]>(
      `update public.alerts a set status = 'resolved', resolved_at = greatest(clock_timestamp(), a.timestamp), resolved_by = $2
        where a.id = $1 returning ${alertColumns}`,
      [alert.id, actor],
    )
    const ended = toAlert(rows[0]!)
    await db.query('delete from tidemark.alert_sources where alert_id = $1', [alert.id])
    await addEvents(db, [{ alertId: alert.id, fingerprint: alert.fingerprint, kind: 'resolved', actor }])
    await addNotifications(db, resolvedRows(routes)(ended))
    return ended
  })
