/** How well agents do, by windows of five minutes. Rates and qualities are fractions from 0 to 1 (C64), times are seconds. */
import { pageOf, placeSql } from 'tidemark/app'
import { AgentsError, refusing } from './agents-error.js'
import { parsePlace } from './input.js'
import { type AgentInstance, type Db, type Metric, shown } from './rows.js'

export const windowMinutes = 5

export interface NewMetric {
  readonly period_start: string
  readonly period_end: string
  readonly tasks_completed: number
  readonly tasks_failed: number
  readonly success_rate?: number | undefined
  readonly average_execution_time: number
  readonly average_quality_score: number
}

/** A window that is stored again is the same row. */
export const storeMetric = async (db: Db, agent: AgentInstance, metric: NewMetric): Promise<Metric> => {
  if (Date.parse(metric.period_end) <= Date.parse(metric.period_start))
    throw new AgentsError('AGENTS_INVALID', 'period_end is after period_start.')
  const ended = metric.tasks_completed + metric.tasks_failed
  const rate = metric.success_rate ?? (ended === 0 ? 0 : metric.tasks_completed / ended)
  const { rows } = await refusing(
    db.query<object>(
      `insert into agent_metrics (agent_instance_id, agent_type, period_start, period_end, tasks_completed, tasks_failed,
                                  success_rate, average_execution_time, average_quality_score)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           on conflict (agent_instance_id, period_start, period_end) do update
          set tasks_completed = excluded.tasks_completed, tasks_failed = excluded.tasks_failed, success_rate = excluded.success_rate,
              average_execution_time = excluded.average_execution_time, average_quality_score = excluded.average_quality_score
       returning *`,
      [
        agent.id,
        agent.agent_type,
        metric.period_start,
        metric.period_end,
        metric.tasks_completed,
        metric.tasks_failed,
        rate,
        metric.average_execution_time,
        metric.average_quality_score,
      ],
    ),
  )
  return shown<Metric>(rows[0]!)
}

export interface MetricsQuery {
  /** One that is not known has none. */
  readonly agent_id?: string | undefined
  readonly hours: number
  readonly limit: number
  readonly cursor?: string | undefined
}

export interface MetricPage {
  readonly metrics: readonly Metric[]
  /** The cursor of the next page. */
  readonly next: string | null
}

/** Windows that end within the last hours, newest first. Hours are an interval: any number at any time of day (C65). */
export const listMetrics = async (db: Db, { agent_id, hours, limit, cursor }: MetricsQuery, now: Date): Promise<MetricPage> => {
  const { rows } = await db.query<Record<string, unknown>>(
    `select m.*, ${placeSql('m.period_start')} from agent_metrics m
      where m.period_end > $1::timestamptz - $2 * interval '1 hour' and m.period_start <= $1
        and ($3::text is null or m.agent_instance_id = (select a.id from agent_instances a where a.agent_id = $3))
        and ($4::timestamptz is null or (m.period_start <= $4 and (m.period_start < $4 or m.id > $5::uuid)))
      order by m.period_start desc, m.id limit $6`,
    [now, hours, agent_id ?? null, ...parsePlace(cursor), limit + 1],
  )
  const page = pageOf(rows, limit)
  return { metrics: page.rows.map((row) => shown<Metric>(row)), next: page.next }
}

// Only what changes is written: a window without news tells nobody.
const collectSql = `
  insert into agent_metrics (agent_instance_id, agent_type, period_start, period_end, tasks_completed, tasks_failed,
                             success_rate, average_execution_time, average_quality_score)
  select a.id, a.agent_type, $1, $2, count(*) filter (where e.status = 'completed'), count(*) filter (where e.status = 'failed'),
         count(*) filter (where e.status = 'completed')::double precision / count(*),
         coalesce(avg(e.execution_time_seconds), 0), coalesce(avg(e.quality_score), 0)
    from agent_executions e join agent_instances a on a.id = e.agent_instance_id
   where e.completed_at >= $1 and e.completed_at < $2 and e.status in ('completed', 'failed')
   group by a.id, a.agent_type
      on conflict (agent_instance_id, period_start, period_end) do update
     set tasks_completed = excluded.tasks_completed, tasks_failed = excluded.tasks_failed, success_rate = excluded.success_rate,
         average_execution_time = excluded.average_execution_time, average_quality_score = excluded.average_quality_score
   where (agent_metrics.tasks_completed, agent_metrics.tasks_failed, agent_metrics.average_quality_score)
         is distinct from (excluded.tasks_completed, excluded.tasks_failed, excluded.average_quality_score)
  returning *`

/** The window that a moment is in. */
export const windowOf = (at: Date): readonly [start: Date, end: Date] => {
  const lengthMs = windowMinutes * 60_000
  const start = Math.floor(at.getTime() / lengthMs) * lengthMs
  return [new Date(start), new Date(start + lengthMs)]
}

/** The present window and the one before it, which may have had late news. */
export const collectMetrics = async (db: Db, now: Date): Promise<readonly Metric[]> => {
  const [start] = windowOf(now)
  const windows = [windowOf(new Date(start.getTime() - 1)), windowOf(now)]
  const written: Metric[] = []
  for (const window of windows)
    written.push(...(await db.query<object>(collectSql, [...window])).rows.map((row) => shown<Metric>(row)))
  return written
}
