/** How the whole is, now and over the last hours. */
import { sql } from 'kysely'
import { pageOf, runStatement } from 'tidemark/app'
import type { HealthPage, HealthSummary } from '../routes/answers.js'
import { parsePlace } from '../routes/input.js'
import { windowMinutes } from './metrics.js'
import { type Db, type SystemHealth, shown } from './rows.js'
import { afterMoment, firstOf, json, momentBefore, placeAt, tables } from './tables.js'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

export interface Measured {
  /** Of Postgres. */
  readonly responseTimeMs: number | null
  /** Of the requests of this server since the last reading. */
  readonly p95ResponseTimeMs?: number | null
  readonly realtimeLagMs: number | null
  /** From 0 to 1, as the hit rate. */
  readonly poolUtilisation: number | null
  /** Of this server since its start. */
  readonly cacheHitRate?: number | null
  readonly activeAlerts: number
  /** Reasons why it is not healthy; empty where it is. */
  readonly degraded: readonly string[]
}

const agentsCounted = tables
  .selectFrom('agent_instances')
  .select(({ fn }) => [
    fn.countAll<number>().as('total_agents'),
    fn.countAll<number>().filterWhere('status', 'not in', ['offline', 'maintenance']).as('active_agents'),
    fn.countAll<number>().filterWhere('status', '=', 'idle').as('idle_agents'),
    fn.countAll<number>().filterWhere('status', 'in', ['busy', 'processing', 'waiting']).as('busy_agents'),
    fn.countAll<number>().filterWhere('status', '=', 'error').as('error_agents'),
  ])

/** Those that wait or run, and those that ended in the last minutes. */
const tasksCounted = (now: Date) =>
  tables
    .selectFrom('agent_executions')
    .select(({ fn }) => [
      fn.countAll<number>().as('total_tasks'),
      fn.countAll<number>().filterWhere('status', '=', 'completed').as('completed_tasks'),
      fn.countAll<number>().filterWhere('status', '=', 'failed').as('failed_tasks'),
      fn.countAll<number>().filterWhere('status', 'in', ['pending', 'queued', 'retrying']).as('queued_tasks'),
      fn.countAll<number>().filterWhere('status', '=', 'running').as('running_tasks'),
    ])
    .where((eb) => eb.or([eb('completed_at', 'is', null), eb('completed_at', '>=', momentBefore(now, windowMinutes * minuteMs))]))

const counts = [
  'total_agents',
  'active_agents',
  'idle_agents',
  'busy_agents',
  'error_agents',
  'total_tasks',
  'completed_tasks',
  'failed_tasks',
  'queued_tasks',
  'running_tasks',
] as const

const ofEnded = (column: 'completed_tasks' | 'failed_tasks', otherwise: number) =>
  sql<number>`coalesce(${sql.ref(column)}::double precision / nullif(completed_tasks + failed_tasks, 0), ${sql.lit(otherwise)})`

/** Counts agents and tasks in the statement that writes the counts down. */
export const storeHealth = async (db: Db, now: Date, measured: Measured): Promise<SystemHealth> => {
  const { responseTimeMs, p95ResponseTimeMs = null, realtimeLagMs, poolUtilisation, cacheHitRate = null } = measured
  const { activeAlerts, degraded } = measured
  const read = tables
    .selectFrom([agentsCounted.as('a'), tasksCounted(now).as('t')])
    .select(counts)
    .select((eb) => [
      ofEnded('completed_tasks', 1).as('success_rate'),
      ofEnded('failed_tasks', 0).as('error_rate'),
      eb
        .case()
        .when(eb.or([eb.val(degraded.length > 0), eb('error_agents', '>', 0)]))
        .then('degraded')
        .else('healthy')
        .end()
        .as('status'),
      eb.val(now.toISOString()).as('timestamp'),
      eb.val(windowMinutes).as('period_minutes'),
      eb.val(responseTimeMs).as('response_time_ms'),
      eb.val(p95ResponseTimeMs).as('p95_response_time_ms'),
      eb.val(realtimeLagMs).as('realtime_lag_ms'),
      eb.val(poolUtilisation).as('pool_utilisation'),
      eb.val(cacheHitRate).as('cache_hit_rate'),
      eb.val(activeAlerts).as('active_alerts'),
      json({ degraded }).as('details'),
    ])
  const columns = [
    ...counts,
    ...(['success_rate', 'error_rate', 'status', 'timestamp', 'period_minutes'] as const),
    ...(['response_time_ms', 'p95_response_time_ms', 'realtime_lag_ms', 'pool_utilisation', 'cache_hit_rate'] as const),
    ...(['active_alerts', 'details'] as const),
  ]
  const stored = tables.insertInto('system_health').columns(columns).expression(read).returningAll()
  return (await firstOf<SystemHealth>(db, stored))!
}

/** Whether somebody wrote health down within so long before a moment. */
export const isHealthStored = async (db: Db, now: Date, withinMs: number): Promise<boolean> => {
  const recent = tables
    .selectFrom('system_health')
    .select('id')
    .where('timestamp', '>', momentBefore(now, withinMs))
    .where('timestamp', '<=', now.toISOString())
    .limit(1)
  return (await firstOf(db, recent)) !== null
}

/** Newest first. */
export const listHealth = async (
  db: Db,
  { hours, limit, cursor }: { readonly hours: number; readonly limit: number; readonly cursor?: string | undefined },
  now: Date,
): Promise<HealthPage> => {
  const [time, id] = parsePlace(cursor)
  const newest = tables
    .selectFrom('system_health')
    .selectAll()
    .select(placeAt('timestamp'))
    .where('timestamp', '>', momentBefore(now, hours * hourMs))
    .where('timestamp', '<=', now.toISOString())
    .$if(time !== null, (query) => query.where(afterMoment('timestamp', time!, id!)))
    .orderBy('timestamp', 'desc')
    .orderBy('id')
    .limit(limit + 1)
  const page = pageOf((await runStatement(db, newest)).rows, limit)
  return { health: page.rows.map((row) => shown<SystemHealth>(row)), next: page.next }
}

/** Counts as text, as Postgres gives them. */
type SummaryRow = { readonly [K in keyof HealthSummary]: string | null }

export const healthSummary = async (db: Db): Promise<HealthSummary> => {
  const summary = sql<SummaryRow>`public.get_agent_health_summary()`.as('s')
  const { success_rate, ...counted } = (await firstOf(db, tables.selectFrom(summary).selectAll()))!
  const numbers = Object.fromEntries(Object.entries(counted).map(([name, value]) => [name, Number(value)]))
  return { ...numbers, success_rate: success_rate === null ? null : Number(success_rate) } as HealthSummary
}

/** What is older goes (R26). Metrics go by their partitions. Gives how many. */
export const forgetHealth = async (db: Db, now: Date, keepDays: number): Promise<number> => {
  const old = tables.deleteFrom('system_health').where('timestamp', '<', momentBefore(now, keepDays * 24 * hourMs))
  return (await runStatement(db, old)).rowCount ?? 0
}
