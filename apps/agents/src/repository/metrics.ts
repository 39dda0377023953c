/** How well agents do, by windows of five minutes. Rates and qualities are fractions from 0 to 1 (C64), times are seconds. */
import { type OnConflictBuilder, sql } from 'kysely'
import { pageOf, runStatement } from 'tidemark/app'
import { AgentsError } from '../agents-error.js'
import type { MetricPage } from '../routes/answers.js'
import { parsePlace } from '../routes/input.js'
import { type AgentInstance, type Db, type Metric, shown } from './rows.js'
import { afterMoment, firstOf, momentBefore, placeAt, rowsOf, type Tables, tables } from './tables.js'

export const windowMinutes = 5
export const windowMs = windowMinutes * 60_000

const hourMs = 3_600_000

export interface NewMetric {
  readonly period_start: string
  readonly period_end: string
  readonly tasks_completed: number
  readonly tasks_failed: number
  readonly success_rate?: number | undefined
  readonly average_execution_time: number
  readonly average_quality_score: number
}

/** A window that is there takes the new numbers. */
const renewed = (conflict: OnConflictBuilder<Tables, 'agent_metrics'>) =>
  conflict.columns(['agent_instance_id', 'period_start', 'period_end']).doUpdateSet(({ ref }) => ({
    tasks_completed: ref('excluded.tasks_completed'),
    tasks_failed: ref('excluded.tasks_failed'),
    success_rate: ref('excluded.success_rate'),
    average_execution_time: ref('excluded.average_execution_time'),
    average_quality_score: ref('excluded.average_quality_score'),
  }))

/** A window that is stored again is the same row. */
export const storeMetric = async (db: Db, agent: AgentInstance, metric: NewMetric): Promise<Metric> => {
  const { period_start: start, period_end: end, tasks_completed: completed, tasks_failed: failed } = metric
  if (Date.parse(end) <= Date.parse(start)) throw new AgentsError('AGENTS_INVALID', 'period_end is after period_start.')
  const ended = completed + failed
  const success_rate = metric.success_rate ?? (ended === 0 ? 0 : completed / ended)
  const values = { ...metric, success_rate, agent_instance_id: agent.id, agent_type: agent.agent_type }
  const stored = tables.insertInto('agent_metrics').values(values).onConflict(renewed).returningAll()
  return (await firstOf<Metric>(db, stored))!
}

export interface MetricsQuery {
  /** One that is not known has none. */
  readonly agent_id?: string | undefined
  readonly hours: number
  readonly limit: number
  readonly cursor?: string | undefined
}

/** Windows that end within the last hours, newest first. Hours are an interval: any number at any time of day (C65). */
export const listMetrics = async (db: Db, { agent_id, hours, limit, cursor }: MetricsQuery, now: Date): Promise<MetricPage> => {
  const [time, id] = parsePlace(cursor)
  const ofAgent = tables
    .selectFrom('agent_instances')
    .select('id')
    .where('agent_id', '=', agent_id ?? '')
  const newest = tables
    .selectFrom('agent_metrics')
    .selectAll()
    .select(placeAt('period_start'))
    .where('period_end', '>', momentBefore(now, hours * hourMs))
    .where('period_start', '<=', now.toISOString())
    .$if(agent_id !== undefined, (query) => query.where('agent_instance_id', '=', ofAgent))
    .$if(time !== null, (query) => query.where(afterMoment('period_start', time!, id!)))
    .orderBy('period_start', 'desc')
    .orderBy('id')
    .limit(limit + 1)
  const page = pageOf((await runStatement(db, newest)).rows, limit)
  return { metrics: page.rows.map((row) => shown<Metric>(row)), next: page.next }
}

const length = sql.lit(`${windowMinutes} minutes`)
const windowStart = sql<string>`date_bin(${length}::interval, e.completed_at, 'epoch'::timestamptz)`

/** What ended between two moments, by agent and window. */
const endedIn = (from: string, until: string) =>
  tables
    .selectFrom('agent_executions as e')
    .innerJoin('agent_instances as a', 'a.id', 'e.agent_instance_id')
    .select((eb) => {
      const countOf = (status: 'completed' | 'failed') => eb.fn.countAll().filterWhere('e.status', '=', status)
      return [
        'a.id as agent_instance_id',
        'a.agent_type',
        windowStart.as('period_start'),
        sql<string>`${windowStart} + ${length}::interval`.as('period_end'),
        countOf('completed').as('tasks_completed'),
        countOf('failed').as('tasks_failed'),
        eb(eb.cast<number>(countOf('completed'), 'double precision'), '/', eb.fn.countAll<number>()).as('success_rate'),
        eb.fn.coalesce(eb.fn.avg('e.execution_time_seconds'), eb.lit(0)).as('average_execution_time'),
        eb.fn.coalesce(eb.fn.avg('e.quality_score'), eb.lit(0)).as('average_quality_score'),
      ]
    })
    .where('e.completed_at', '>=', from)
    .where('e.completed_at', '<', until)
    .where('e.status', 'in', ['completed', 'failed'])
    .groupBy(['a.id', 'a.agent_type', windowStart])

// Only what changes is written: a window without news tells nobody.
const collected = (from: string, until: string) =>
  tables
    .insertInto('agent_metrics')
    .columns([
      'agent_instance_id',
      'agent_type',
      'period_start',
      'period_end',
      'tasks_completed',
      'tasks_failed',
      'success_rate',
      'average_execution_time',
      'average_quality_score',
    ])
    .expression(endedIn(from, until))
    .onConflict((conflict) =>
      renewed(conflict).where((eb) =>
        eb.or(
          (['tasks_completed', 'tasks_failed', 'average_quality_score'] as const).map((column) =>
            eb(`agent_metrics.${column}`, 'is distinct from', eb.ref(`excluded.${column}`)),
          ),
        ),
      ),
    )
    .returningAll()

/** The window that a moment is in. */
export const windowOf = (at: Date): readonly [start: Date, end: Date] => {
  const start = Math.floor(at.getTime() / windowMs) * windowMs
  return [new Date(start), new Date(start + windowMs)]
}

/** The windows from that of `since` to the present one; by default the one before it, which may have had late news, and itself. */
export const collectMetrics = (db: Db, now: Date, since = new Date(now.getTime() - windowMs)): Promise<readonly Metric[]> =>
  rowsOf(db, collected(windowOf(since)[0].toISOString(), windowOf(now)[1].toISOString()))

/** Makes the partitions of months that are to come, and drops what is older than so many days (R26). */
export const maintainMetrics = async (db: Db, now: Date, keepDays: number): Promise<void> => {
  const maintained = sql`public.agent_metrics_maintain(${keepDays} * interval '1 day', ${now})`
  await rowsOf(db, tables.selectFrom(maintained.as('m')).selectAll())
}
