/** What operators look at. Tables of Tidemark's own are read here and written by nobody of this app. */
import { type Pool, type Resilience, sqlstateOf } from 'tidemark'
import { ReannaError } from './reanna-error.js'
import type { Row } from './rows.js'

export interface BreakerView {
  readonly service: string
  readonly state: string
  /** `shared`: it is the same for all processes. */
  readonly scope: string
  readonly failure_count: number
  readonly opened_at: string | null
  readonly retry_after_ms: number
  readonly reason: string
}

export interface LimitView {
  readonly service: string
  readonly limit: number
  readonly window_ms: number
  /** Decisions of this process, since it started. */
  readonly allowed: number
  readonly refused: number
}

export interface Ops {
  breakers(): readonly BreakerView[]
  /** The latest changes of state, of all services. */
  breakerEvents(): Promise<readonly Row[]>
  limits(): readonly LimitView[]
  /** Events that wait, by provider and state. */
  webhookBacklog(): Promise<readonly Row[]>
  deadLetters(): Promise<readonly Row[]>
  openAlerts(): Promise<readonly Row[]>
  /** By endpoint and hour, the worst first. */
  errorRates(hours: number): Promise<readonly Row[]>
  /** Calls to other systems, by kind and state. */
  callBacklog(): Promise<readonly Row[]>
  failedCalls(): Promise<readonly Row[]>
  /** Has a failed call made again. Raises REANNA_NOT_FOUND. */
  retryCall(id: string): Promise<Row>
}

export interface OpsOptions {
  /** As the server. */
  readonly pool: Pick<Pool, 'query'>
  readonly resilience: Pick<Resilience, 'breakers' | 'limiters'>
}

const most = 200

const timeOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

export const createOps = ({ pool, resilience }: OpsOptions): Ops => {
  /** A database without that part of Tidemark has nothing to show of it. */
  const rowsOf = async (sql: string, ...values: readonly unknown[]): Promise<readonly Row[]> => {
    try {
      return (await pool.query<Row>(sql, values)).rows
    } catch (error) {
      if (sqlstateOf(error) === '42P01') return []
      throw error
    }
  }
  return {
    breakers: () =>
      resilience.breakers.list().map((breaker) => {
        const { service, state, scope, failureCount, openedAt, retryAfterMs, reason } = breaker.read()
        return {
          ...{ service, state, scope, reason },
          failure_count: failureCount,
          opened_at: timeOrNull(openedAt),
          retry_after_ms: Math.ceil(retryAfterMs),
        }
      }),
    breakerEvents: () =>
      rowsOf(
        `select service_name, previous_state, new_state, failure_count, reason, timestamp from public.circuit_breaker_events
          order by timestamp desc limit $1`,
        most,
      ),
    limits: () =>
      resilience.limiters.flatMap(({ name, rules, counts }) =>
        rules.map(({ limit, windowMs }) => ({ service: name, limit, window_ms: windowMs, ...counts })),
      ),
    webhookBacklog: () =>
      rowsOf(
        `select provider, status, count(*)::int as events, min(received_at) as oldest from public.webhook_events
          where status <> 'processed' group by provider, status order by provider, status`,
      ),
    deadLetters: () =>
      rowsOf(
        `select id, provider, event_type, entity_type, entity_id, dead_reason, error, attempts, received_at from public.webhook_events
          where status = 'dead' order by received_at desc limit $1`,
        most,
      ),
    openAlerts: () =>
      rowsOf(
        `select id, alert_type, entity_id, entity_type, message, severity, status, timestamp from public.alerts
          where status <> 'resolved' order by timestamp desc limit $1`,
        most,
      ),
    errorRates: (hours) =>
      rowsOf(
        `select endpoint, method, date_trunc('hour', timestamp) as hour, count(*)::int as requests,
                (count(*) filter (where not success))::int as errors,
                round((count(*) filter (where not success))::numeric / count(*), 4)::float8 as error_rate
           from public.api_metrics where timestamp >= date_trunc('hour', now()) - ($1 - 1) * interval '1 hour'
          group by endpoint, method, date_trunc('hour', timestamp) order by hour desc, error_rate desc, endpoint, method limit 1000`,
        hours,
      ),
    callBacklog: () =>
      rowsOf(
        `select kind, status, count(*)::int as calls, min(created_at) as oldest, min(next_attempt_at) as next_attempt_at
           from reanna.calls where status in ('waiting', 'calling', 'failed') group by kind, status order by kind, status`,
      ),
    failedCalls: () =>
      rowsOf(
        `select id, kind, subject, attempts, error, updated_at from reanna.calls where status = 'failed' order by updated_at desc limit $1`,
        most,
      ),
    retryCall: async (id) => {
      // A tour is pending again, and so on: the rows that a call is about ask for it as anybody does.
      const { rows } = await pool.query<{ kind: string; subject: string }>(
        `select kind, subject from reanna.calls where id = $1 and status = 'failed'`,
        [id],
      )
      const [call] = rows
      if (!call) throw new ReannaError('REANNA_NOT_FOUND')
      if (call.kind === 'crm.sync_tour')
        await pool.query(`update public.tours set crm_sync_status = 'pending' where id = $1`, [call.subject])
      else await pool.query('select reanna.ask($1, $2, false)', [call.kind, call.subject])
      await pool.query(`update reanna.calls set status = 'done' where id = $1 and status = 'failed'`, [id])
      return { ...call, status: 'waiting' }
    },
  }
}
