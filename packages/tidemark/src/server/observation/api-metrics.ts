/** A row of public.api_metrics for each request, in batches and never in a request's way. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isTidemarkError, reasonOf } from '../../errors.js'
import { type Logger, type Metrics, silentLogger } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import type { Journal } from '../../resilience/journal/journal.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { isValueRefused } from '../resilience/breaker-events.js'
import type { LiveCounters } from './live-counters.js'

/** How one request went. */
export interface RequestRow {
  readonly id: string
  /** The route's template; never what stood in its place. */
  readonly endpoint: string
  readonly method: string
  readonly statusCode: number
  readonly responseTimeMs: number
  /** Wall time in milliseconds since 1970. */
  readonly at: number
  readonly errorType: string | null
  readonly errorMessage: string | null
}

export interface ApiMetricsOptions {
  /** Routes that are no news: probes and scrapes. */
  readonly isLeftOut?: (route: string) => boolean
  /** Rows that wait at most; further ones are dropped, and counted. Default 10,000. */
  readonly maxWaiting?: number
  /** Default 1 s. */
  readonly flushEveryMs?: number
  readonly metrics?: Metrics
  readonly log?: Logger
  readonly clock?: Clock
}

export interface ApiMetricsStores {
  /** Where rows go; none are kept without one. */
  readonly pool?: Pool
  /** Where rows wait while Postgres is away; without one they wait in memory. */
  readonly journal?: Journal<RequestRow>
  readonly counters?: LiveCounters
}

export interface ApiMetrics {
  /** Measures an app's requests. Before its routes are added: hooks are a route's from when it is. */
  watch(app: FastifyInstance): void
  /** Until then rows wait in memory. */
  attach(stores: ApiMetricsStores): void
  /** Resolves when what waits was tried. */
  flush(): Promise<void>
  readonly waiting: number
  stop(): Promise<void>
}

const insert = `insert into public.api_metrics
    (id, endpoint, method, status_code, response_time, timestamp, success, error_type, error_message)
  select id, endpoint, method, status, took, to_timestamp(at / 1000.0), status < 400, type, message
  from unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::double precision[], $6::double precision[], $7::text[], $8::text[])
    as told (id, endpoint, method, status, took, at, type, message)
  on conflict (id, timestamp) do nothing`

const columns = ['id', 'endpoint', 'method', 'statusCode', 'responseTimeMs', 'at', 'errorType', 'errorMessage'] as const

/** Writes rows; those that are there already stay as they are. */
export const insertRequestRows = async (pool: Pool, rows: readonly RequestRow[], signal?: AbortSignal): Promise<void> => {
  const values = columns.map((name) => rows.map((row) => row[name]))
  await pool.query(insert, values, { idempotent: true, ...(signal && { signal }) })
}

const maxBatch = 1_000
const longestMessage = 300

const errorTypeOf = (error: unknown): string => {
  if (isTidemarkError(error)) return error.code
  const code = (error as { readonly code?: unknown } | null)?.code
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'unknown'
}

class RequestMetrics implements ApiMetrics {
  readonly #options: Required<Pick<ApiMetricsOptions, 'isLeftOut' | 'maxWaiting' | 'flushEveryMs' | 'log' | 'clock'>>
  readonly #errors = new WeakMap<FastifyRequest, unknown>()
  readonly #count: (outcome: 'written' | 'journalled' | 'dropped' | 'refused', rows: number) => void
  readonly #stopping = new AbortController()
  #rows: RequestRow[] = []
  #live = new Map<number, Map<string, number>>()
  #stores: ApiMetricsStores | undefined
  #flushing: Promise<void> | undefined
  #ticking: Promise<void> | undefined
  #failures = 0

  constructor(options: ApiMetricsOptions) {
    const { isLeftOut = () => false, maxWaiting = 10_000, flushEveryMs = 1_000 } = options
    const { log = silentLogger, clock = systemClock, metrics } = options
    this.#options = { isLeftOut, maxWaiting, flushEveryMs, log, clock }
    const counter = metrics?.counter('tidemark_api_metrics_rows_total', 'Rows of api_metrics, by what became of them.', [
      'outcome',
    ])
    this.#count = (outcome, rows) => {
      if (rows > 0) counter?.add(rows, { outcome })
    }
  }

  get waiting(): number {
    return this.#rows.length
  }

  watch(app: FastifyInstance): void {
    app.addHook('onError', async (request, _reply, error) => void this.#errors.set(request, error))
    // Not async: nothing of the answer waits for it.
    app.addHook('onResponse', (request, reply, done) => {
      this.#note(request, reply)
      done()
    })
  }

  #note(request: FastifyRequest, reply: FastifyReply): void {
    const route = request.routeOptions.url ?? 'none'
    if (this.#options.isLeftOut(route)) return
    const error = this.#errors.get(request)
    const statusCode = reply.statusCode
    const at = this.#options.clock.now()
    const responseTimeMs = Math.round(reply.elapsedTime * 1000) / 1000
    this.#countLive(`${request.method} ${route}`, statusCode, responseTimeMs, at)
    if (this.#rows.length >= this.#options.maxWaiting) {
      this.#count('dropped', 1)
      return
    }
    this.#rows.push({
      id: randomUUID(),
      endpoint: route,
      method: request.method,
      statusCode,
      responseTimeMs,
      at,
      errorType: statusCode < 400 ? null : error === undefined ? `HTTP_${statusCode}` : errorTypeOf(error),
      errorMessage:
        statusCode < 400 || error === undefined ? null : reasonOf(error).replaceAll('\0', '').slice(0, longestMessage),
    })
  }

  #countLive(endpoint: string, status: number, tookMs: number, at: number): void {
    const minute = at - (at % 60_000)
    const fields = this.#live.get(minute) ?? new Map<string, number>()
    this.#live.set(minute, fields)
    const add = (field: string, by: number): void => void fields.set(field, (fields.get(field) ?? 0) + by)
    add('requests', 1)
    add(`status_${Math.floor(status / 100)}xx`, 1)
    if (status >= 500) add('errors', 1)
    add('response_time_us', tookMs * 1000)
    add(`endpoint:${endpoint}`, 1)
  }

  attach(stores: ApiMetricsStores): void {
    this.#stores = stores
    this.#ticking ??= this.#tick()
  }

  async #tick(): Promise<void> {
    const { clock, flushEveryMs } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await clock.sleep(flushEveryMs, signal).catch(() => undefined)
      await this.flush()
    }
  }

  flush(): Promise<void> {
    this.#flushing ??= this.#flushOnce().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  async #flushOnce(): Promise<void> {
    if (!this.#stores) return
    const live = this.#tellLive(this.#stores)
    if (!this.#stores.pool) this.#rows = []
    else await this.#writeRows(this.#stores.pool, this.#stores)
    await live
  }

  async #writeRows(pool: Pool, { journal }: ApiMetricsStores): Promise<void> {
    while (this.#rows.length > 0) {
      const batch = this.#rows.slice(0, maxBatch)
      try {
        await insertRequestRows(pool, batch)
      } catch (error) {
        if (isValueRefused(error)) this.#refused(batch, error)
        else if (!(await this.#keep(batch, journal, error))) return
        continue
      }
      if (this.#failures > 0) this.#options.log.info('api_metrics takes rows again')
      this.#failures = 0
      this.#rows.splice(0, batch.length)
      this.#count('written', batch.length)
    }
  }

  #refused(batch: readonly RequestRow[], err: unknown): void {
    this.#options.log.error('api_metrics refuses rows', { rows: batch.length, err })
    this.#rows.splice(0, batch.length)
    this.#count('refused', batch.length)
  }

  /** True where they need not wait here. */
  async #keep(batch: readonly RequestRow[], journal: Journal<RequestRow> | undefined, err: unknown): Promise<boolean> {
    this.#failures += 1
    if (this.#failures === 1) this.#options.log.warn('rows of api_metrics wait for Postgres', { rows: this.#rows.length, err })
    if (!journal) return false
    const kept = await Promise.allSettled(batch.map((row) => journal.append(row, row.id)))
    this.#rows.splice(0, batch.length)
    const done = kept.filter(({ status }) => status === 'fulfilled').length
    this.#count('journalled', done)
    this.#count('dropped', kept.length - done)
    return true
  }

  async #tellLive({ counters }: ApiMetricsStores): Promise<void> {
    const live = this.#live
    this.#live = new Map()
    if (!counters) return
    for (const [minute, fields] of live) {
      await counters
        .add('api', Object.fromEntries(fields), minute)
        .catch((err: unknown) => this.#options.log.debug('live counters were not told', { err }))
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ticking
    await this.flush()
    this.#count('dropped', this.#rows.length)
    this.#rows = []
  }
}

/** Makes what measures requests; nothing is written until stores are attached. */
export const createApiMetrics = (options: ApiMetricsOptions = {}): ApiMetrics => new RequestMetrics(options)
