/** What operators look at. Tables of Tidemark's own are read here and written by nobody of this app. */
import { sql } from 'kysely'
import { type Pool, type Resilience, sqlstateOf } from 'tidemark'
import { type Place, pageOf, placeOf } from 'tidemark/app'
import type * as answers from './answers.js'
import { ReannaError } from './reanna-error.js'
import { shownInUtc } from './rows.js'
import { firstOf, isPast, placeAt, rowsOf, type Statement, tables, written } from './tables.js'

/** A page of a list that begins with the latest. */
export interface Latest {
  readonly limit: number
  readonly after: Place
}

export interface Ops {
  breakers(): readonly answers.BreakerView[]
  /** Changes of state, of all services. */
  breakerEvents(page: Latest): Promise<answers.BreakerEvents>
  limits(): readonly answers.LimitView[]
  /** Events that wait, by provider and state. */
  webhookBacklog(): Promise<answers.WebhookBacklog>
  deadLetters(page: Latest): Promise<answers.DeadLetters>
  openAlerts(page: Latest): Promise<answers.Alerts>
  /** By endpoint and hour, the worst first, of the last so many hours. A page is of `limit` whole hours, since rates of an hour that is over stay. */
  errorRates(hours: number, page: Latest): Promise<answers.ErrorRates>
  /** Calls to other systems, by kind and state. */
  callBacklog(): Promise<answers.CallBacklog>
  failedCalls(page: Latest): Promise<answers.FailedCalls>
  /** Has a failed call made again. Raises REANNA_NOT_FOUND. */
  retryCall(id: string): Promise<answers.RetriedCall>
}

export interface OpsOptions {
  /** As the server. */
  readonly pool: Pick<Pool, 'query'>
  readonly resilience: Pick<Resilience, 'breakers' | 'limiters'>
}

const hourMs = 3_600_000

/** An hour is no row, and has no id. */
const noId = '00000000-0000-0000-0000-000000000000'

const timeOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

const breakerEvents = ({ limit, after }: Latest) =>
  tables
    .selectFrom('circuit_breaker_events')
    .select(['id', 'service_name', 'previous_state', 'new_state', 'failure_count', 'reason', 'timestamp', placeAt('timestamp')])
    .where(isPast('timestamp', 'id', after, 'desc'))
    .orderBy('timestamp', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)

const webhookBacklog = tables
  .selectFrom('webhook_events')
  .select(({ fn }) => ['provider', 'status', sql<number>`count(*)::int`.as('events'), fn.min('received_at').as('oldest')])
  .where('status', '<>', 'processed')
  .groupBy(['provider', 'status'])
  .orderBy('provider')
  .orderBy('status')

const deadLetters = ({ limit, after }: Latest) =>
  tables
    .selectFrom('webhook_events')
    .select(['id', 'provider', 'event_type', 'entity_type', 'entity_id', 'dead_reason', 'error', 'attempts', 'received_at'])
    .select(placeAt('received_at'))
    .where('status', '=', 'dead')
    .where(isPast('received_at', 'id', after, 'desc'))
    .orderBy('received_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)

const openAlerts = ({ limit, after }: Latest) =>
  tables
    .selectFrom('alerts')
    .select(['id', 'alert_type', 'entity_id', 'entity_type', 'message', 'severity', 'status', 'timestamp', placeAt('timestamp')])
    .where('status', '<>', 'resolved')
    .where(isPast('timestamp', 'id', after, 'desc'))
    .orderBy('timestamp', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)

interface ErrorRate {
  readonly endpoint: string
  readonly method: string
  readonly hour: Date
  readonly requests: number
  readonly errors: number
  readonly error_rate: number
}

/** From the one moment until before the other. */
const errorRates = (from: Date, until: Date) =>
  written(sql<ErrorRate>`
    select endpoint, method, date_trunc('hour', timestamp, 'UTC') as hour, count(*)::int as requests,
           (count(*) filter (where not success))::int as errors,
           round((count(*) filter (where not success))::numeric / count(*), 4)::float8 as error_rate
      from public.api_metrics where timestamp >= ${from} and timestamp < ${until}
     group by endpoint, method, hour order by hour desc, error_rate desc, endpoint, method`)

const callBacklog = tables
  .selectFrom('reanna.calls')
  .select(({ fn }) => [
    'kind',
    'status',
    sql<number>`count(*)::int`.as('calls'),
    fn.min('created_at').as('oldest'),
    fn.min('next_attempt_at').as('next_attempt_at'),
  ])
  .where('status', 'in', ['waiting', 'calling', 'failed'])
  .groupBy(['kind', 'status'])
  .orderBy('kind')
  .orderBy('status')

const failedCalls = ({ limit, after }: Latest) =>
  tables
    .selectFrom('reanna.calls')
    .select(['id', 'kind', 'subject', 'attempts', 'error', 'updated_at', placeAt('updated_at')])
    .where('status', '=', 'failed')
    .where(isPast('updated_at', 'id', after, 'desc'))
    .orderBy('updated_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)

export const createOps = ({ pool, resilience }: OpsOptions): Ops => {
  /** A database without that part of Tidemark has nothing to show of it. */
  const all = async <T extends object>(statement: Statement<T>) => {
    try {
      return (await rowsOf(pool, statement)).map(shownInUtc)
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
    breakerEvents: async (page) => {
      const { rows: events, next } = pageOf(await all(breakerEvents(page)), page.limit)
      return { events, next }
    },
    limits: () =>
      resilience.limiters.flatMap(({ name, rules, counts }) =>
        rules.map(({ limit, windowMs }) => ({ service: name, limit, window_ms: windowMs, ...counts })),
      ),
    webhookBacklog: () => all(webhookBacklog),
    deadLetters: async (page) => {
      const { rows: dead_letters, next } = pageOf(await all(deadLetters(page)), page.limit)
      return { dead_letters, next }
    },
    openAlerts: async (page) => {
      const { rows: alerts, next } = pageOf(await all(openAlerts(page)), page.limit)
      return { alerts, next }
    },
    errorRates: async (hours, { limit, after: [time] }) => {
      const over = Math.floor(Date.now() / hourMs + 1) * hourMs
      const until = time === null ? over : Date.parse(time)
      const first = over - hours * hourMs
      const from = Math.max(first, until - limit * hourMs)
      const endpoints = await all(errorRates(new Date(from), new Date(until)))
      return { endpoints, next: from > first ? placeOf(new Date(from).toISOString(), noId) : null }
    },
    callBacklog: () => all(callBacklog),
    failedCalls: async (page) => {
      const { rows: failed, next } = pageOf(await all(failedCalls(page)), page.limit)
      return { failed, next }
    },
    retryCall: async (id) => {
      // A tour is pending again, and so on: the rows that a call is about ask for it as anybody does.
      const failed = tables.selectFrom('reanna.calls').select(['kind', 'subject'])
      const call = await firstOf(pool, failed.where('id', '=', id).where('status', '=', 'failed'))
      if (!call) throw new ReannaError('REANNA_NOT_FOUND')
      if (call.kind === 'crm.sync_tour')
        await rowsOf(pool, tables.updateTable('tours').set({ crm_sync_status: 'pending' }).where('id', '=', call.subject))
      else await rowsOf(pool, written(sql`select reanna.ask(${call.kind}, ${call.subject}, false)`))
      const done = tables.updateTable('reanna.calls').set({ status: 'done' })
      await rowsOf(pool, done.where('id', '=', id).where('status', '=', 'failed'))
      return { ...call, status: 'waiting' }
    },
  }
}
