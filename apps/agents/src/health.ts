/** How the whole is, now and over the last hours. */
import { pageOf, placeSql } from 'tidemark/app'
import { parsePlace } from './input.js'
import { windowMinutes } from './metrics.js'
import { type Db, rowOf, type SystemHealth, shown } from './rows.js'

export interface Measured {
  readonly responseTimeMs: number | null
  readonly realtimeLagMs: number | null
  readonly poolUtilisation: number | null
  readonly activeAlerts: number
  /** Reasons why it is not healthy; empty where it is. */
  readonly degraded: readonly string[]
}

const storeSql = `
  insert into system_health (timestamp, status, period_minutes, total_agents, active_agents, idle_agents, busy_agents, error_agents,
      total_tasks, completed_tasks, failed_tasks, queued_tasks, running_tasks, success_rate, error_rate,
      response_time_ms, realtime_lag_ms, pool_utilisation, active_alerts, details)
  select $1, case when $6::text[] <> '{}' or a.errors > 0 then 'degraded' else 'healthy' end, $2,
         a.total, a.active, a.idle, a.busy, a.errors, t.total, t.completed, t.failed, t.queued, t.running,
         coalesce(t.completed::double precision / nullif(t.completed + t.failed, 0), 1),
         coalesce(t.failed::double precision / nullif(t.completed + t.failed, 0), 0),
         $3, $4, $5, $7, jsonb_build_object('degraded', to_jsonb($6::text[]))
    from (select count(*) as total, count(*) filter (where status not in ('offline', 'maintenance')) as active,
                 count(*) filter (where status = 'idle') as idle,
                 count(*) filter (where status in ('busy', 'processing', 'waiting')) as busy,
                 count(*) filter (where status = 'error') as errors from agent_instances) a,
         (select count(*) as total, count(*) filter (where status = 'completed') as completed,
                 count(*) filter (where status = 'failed') as failed,
                 count(*) filter (where status in ('pending', 'queued', 'retrying')) as queued,
                 count(*) filter (where status = 'running') as running
            from agent_executions
           where completed_at is null or completed_at >= $1::timestamptz - $2 * interval '1 minute') t
  returning *`

export const storeHealth = async (db: Db, now: Date, measured: Measured): Promise<SystemHealth> => {
  const { responseTimeMs, realtimeLagMs, poolUtilisation, activeAlerts, degraded } = measured
  const { rows } = await db.query<object>(storeSql, [
    now,
    windowMinutes,
    responseTimeMs,
    realtimeLagMs,
    poolUtilisation,
    degraded,
    activeAlerts,
  ])
  return shown<SystemHealth>(rows[0]!)
}

export interface HealthPage {
  readonly health: readonly SystemHealth[]
  /** The cursor of the next page. */
  readonly next: string | null
}

/** Newest first. */
export const listHealth = async (
  db: Db,
  { hours, limit, cursor }: { readonly hours: number; readonly limit: number; readonly cursor?: string | undefined },
  now: Date,
): Promise<HealthPage> => {
  const { rows } = await db.query<Record<string, unknown>>(
    `select *, ${placeSql('timestamp')} from system_health
      where timestamp > $1::timestamptz - $2 * interval '1 hour' and timestamp <= $1
        and ($3::timestamptz is null or (timestamp <= $3 and (timestamp < $3 or id > $4::uuid)))
      order by timestamp desc, id limit $5`,
    [now, hours, ...parsePlace(cursor), limit + 1],
  )
  const page = pageOf(rows, limit)
  return { health: page.rows.map((row) => shown<SystemHealth>(row)), next: page.next }
}

export interface HealthSummary {
  readonly total_agents: number
  readonly healthy_agents: number
  readonly busy_agents: number
  readonly error_agents: number
  /** From 0 to 1; null while nothing has ended. */
  readonly success_rate: number | null
}

export const healthSummary = async (db: Db): Promise<HealthSummary> => {
  const { rows } = await db.query<Record<string, unknown>>('select * from get_agent_health_summary()')
  const { success_rate, ...counts } = rowOf<Record<string, unknown>>(rows)!
  const numbers = Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, Number(value)]))
  return { ...numbers, success_rate: success_rate === null ? null : Number(success_rate) } as HealthSummary
}

/** What is older goes (R26). Metrics go by their partitions. */
export const forgetHealth = async (db: Db, now: Date, keepDays: number): Promise<number> =>
  (await db.query("delete from system_health where timestamp < $1::timestamptz - $2 * interval '1 day'", [now, keepDays]))
    .rowCount ?? 0
