import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../../errors.js'
import { createMetrics } from '../../observability/metrics.js'
import { createNamedPool } from '../../postgres/postgres.js'
import { openJournal } from '../../resilience/journal/open-journal.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { useFolder } from '../../testing/use-folder.js'
import { type ApiMetricsOptions, createApiMetrics, insertRequestRows, type RequestRow } from './api-metrics.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const folder = useFolder('api-metrics')
const cleanups = useCleanups()

const openPool = (url = testUrl(database.url, 'app')) => {
  const pool = createNamedPool('primary', {
    url,
    pools: { primary: { minConnections: 0, maxConnections: 2, connectTimeoutMs: 500 } },
  })
  cleanups.push(() => pool.stop(0))
  return pool
}

const openApp = async (options: ApiMetricsOptions = {}) => {
  const app = fastify()
  const api = createApiMetrics({ flushEveryMs: 3_600_000, ...options })
  api.watch(app)
  app.get('/tours/:id', async () => 'fine')
  app.get('/health', async () => 'fine')
  app.get('/fails/:id', async () => {
    throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: 'postgres://u:hunter2@h/db is wrong' })
  })
  cleanups.push(() => api.stop())
  cleanups.push(() => app.close())
  await app.ready()
  return { app, api }
}

const rows = async (endpoint: string) => {
  const found = await client.query('select * from public.api_metrics where endpoint = $1 order by timestamp', [endpoint])
  return found.rows as readonly Record<string, unknown>[]
}

const row = (at: number, endpoint: string): RequestRow => ({
  id: crypto.randomUUID(),
  endpoint,
  method: 'GET',
  statusCode: 200,
  responseTimeMs: 1.5,
  at,
  errorType: null,
  errorMessage: null,
})

const dayMs = 86_400_000

describe('rows of requests', () => {
  it('R6, R140: hold the route, not what stood in it; how it went and how long it took; and no secret', async () => {
    const { app, api } = await openApp({ isLeftOut: (route) => route === '/health' })
    api.attach({ pool: openPool() })
    await app.inject('/tours/4711?token=secret')
    await app.inject('/fails/4711')
    await app.inject('/nowhere/4711')
    await app.inject('/health')
    await api.flush()
    const [tour] = await rows('/tours/:id')
    expect(tour).toMatchObject({ method: 'GET', status_code: 200, success: true, error_type: null, error_message: null })
    expect(tour?.['response_time']).toBeGreaterThan(0)
    expect(Math.abs(Number(tour?.['timestamp']) - Date.now())).toBeLessThan(60_000)
    expect((await rows('/fails/:id'))[0]).toMatchObject({
      success: false,
      error_type: 'TM_SERVER_BAD_REQUEST',
      error_message: expect.stringContaining('postgres://u:***@h/db'),
    })
    expect((await rows('none'))[0]).toMatchObject({ status_code: 404, success: false })
    expect(await rows('/health')).toEqual([])
    const all = await client.query('select api_metrics::text as text from public.api_metrics')
    expect(JSON.stringify(all.rows)).not.toMatch(/4711|secret|hunter2/)
  })

  it('go in batches, wait in bounded memory while Postgres is away, and those that do not fit are counted', async () => {
    const metrics = createMetrics()
    const { app, api } = await openApp({ maxWaiting: 50, metrics })
    api.attach({ pool: openPool('postgres://nobody@127.0.0.1:1/nowhere') })
    for (let n = 0; n < 60; n++) expect((await app.inject('/tours/1')).statusCode).toBe(200)
    await api.flush()
    expect(api.waiting).toBe(50)
    expect(await metrics.render()).toContain('tidemark_api_metrics_rows_total{outcome="dropped"} 10')
    const before = (await rows('/tours/:id')).length
    api.attach({ pool: openPool() })
    await api.flush()
    expect((await rows('/tours/:id')).length - before).toBe(50)
    expect(api.waiting).toBe(0)
  })

  it('C61: wait on disk where they are told to, and come once', async () => {
    let isAway = true
    const pool = openPool()
    const journal = await openJournal<RequestRow>({
      name: 'api-metrics',
      folder,
      write: async (entries) => {
        if (isAway) throw new Error('away')
        const told = entries.map(({ data }) => data)
        await insertRequestRows(pool, told)
        await insertRequestRows(pool, told)
      },
    })
    cleanups.push(() => journal.stop())
    const { app, api } = await openApp()
    api.attach({ pool: openPool('postgres://nobody@127.0.0.1:1/nowhere'), journal })
    const before = (await rows('/tours/:id')).length
    for (let n = 0; n < 5; n++) await app.inject('/tours/1')
    await api.flush()
    expect([api.waiting, journal.backlog().entries]).toEqual([0, 5])
    isAway = false
    journal.wake()
    await journal.drained()
    expect((await rows('/tours/:id')).length - before).toBe(5)
  })

  it('C68, R26: are parted by day; a day that nobody made takes its rows out of the default partition, and old ones go', async () => {
    const pool = openPool()
    const today = Math.floor(Date.now() / dayMs) * dayMs
    const late = today + 10 * dayMs + 1
    await insertRequestRows(pool, [
      row(today + 1, '/parts'),
      row(late, '/parts'),
      row(late + 1, '/parts'),
      row(today - 40 * dayMs, '/old'),
    ])
    const partOf = async (endpoint: string) => {
      const found = await client.query<{ part: string }>(
        'select distinct tableoid::regclass::text as part from public.api_metrics where endpoint = $1 order by 1',
        [endpoint],
      )
      return found.rows.map(({ part }) => part)
    }
    const dayName = (at: number) => `tidemark.api_metrics_${new Date(at).toISOString().slice(0, 10).replaceAll('-', '')}`
    expect(await partOf('/parts')).toEqual([dayName(today), 'tidemark.api_metrics_default'].sort())
    const keep = async (days: number) => {
      const { rows: kept } = await pool.query<{ gone: number }>('select tidemark.keep_api_metrics($1) as gone', [days])
      return kept[0]?.gone
    }
    expect(await keep(30)).toBe(0)
    expect(await partOf('/parts')).toEqual([dayName(today), dayName(late)].sort())
    expect(await rows('/old')).toEqual([])
    await client.query(`create table tidemark.api_metrics_20200101 partition of public.api_metrics
      for values from ('2020-01-01Z') to ('2020-01-02Z')`)
    await client.query('alter table tidemark.api_metrics_20200101 owner to tidemark_migrator')
    await insertRequestRows(pool, [row(Date.UTC(2020, 0, 1, 12), '/ancient')])
    expect(await keep(30)).toBe(1)
    expect(await rows('/ancient')).toEqual([])
    expect(await rows('/parts')).toHaveLength(3)
    const [a, b] = await Promise.all([keep(30), keep(30)])
    expect([a, b].every((gone) => gone === 0 || gone === null)).toBe(true)
  })
})
