import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resolveConfig } from '../../config/config.js'
import { silentLogger } from '../../observability/observability.js'
import type { EmbeddedPostgres } from '../../postgres/embedded/embedded.js'
import { startBarePostgres } from '../../testing/project/prepared-project.js'
import { until } from '../../time/until.js'
import { createServer, type TidemarkServer } from '../server.js'

const tables = ['agent_instances', 'agent_executions', 'agent_metrics'] as const

let dir: string
let postgres: EmbeddedPostgres
let admin: pg.Client
let server: TidemarkServer

const startServer = async (state: string, env: Record<string, string>): Promise<TidemarkServer> => {
  const started = createServer({
    cwd: dir,
    log: silentLogger,
    config: resolveConfig({
      cwd: dir,
      env: {
        PORT: '0',
        TIDEMARK_STATE_DIR: state,
        TIDEMARK_REDIS_EMBEDDED: 'false',
        SUPABASE_HEALTH_TABLES: tables.join(', '),
        SUPABASE_TIMEOUT: '5',
        ...env,
      },
    }),
  })
  await started.start()
  return started
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tidemark-health-'))
  postgres = await startBarePostgres(dir)
  server = await startServer('state', { DATABASE_URL: postgres.url })
  admin = new pg.Client({ connectionString: postgres.url })
  // The server is stopped under it.
  admin.on('error', () => undefined)
  await admin.connect()
})

afterAll(async () => {
  await server.stop()
  await admin.end().catch(() => undefined)
  await postgres.stop()
  await rm(dir, { recursive: true, force: true })
})

const health = async (of = server) => {
  const answer = await fetch(`${of.url}/api/v1/health/supabase`)
  return {
    status: answer.status,
    cached: answer.headers.get('cache-control'),
    body: (await answer.json()) as Record<string, unknown>,
  }
}

const all = (accessible: boolean) => Object.fromEntries(tables.map((table) => [table, accessible]))

describe('R112, S5.8: GET /api/v1/health/supabase', () => {
  test('is degraded without the tables, healthy with them, degraded again without a grant', async () => {
    expect(await health()).toMatchObject({ status: 200, body: { status: 'degraded', tables_accessible: all(false) } })
    for (const table of tables)
      await admin.query(`create table ${table} (id int); grant select on ${table} to service_role, tidemark_app`)
    const healthy = await health()
    expect(healthy).toEqual({
      status: 200,
      cached: 'no-store',
      body: { status: 'healthy', response_time_ms: expect.any(Number), tables_accessible: all(true), realtime_enabled: true },
    })
    expect(Object.keys(healthy.body)).toEqual(['status', 'response_time_ms', 'tables_accessible', 'realtime_enabled'])
    await admin.query('revoke all on agent_metrics from service_role, tidemark_app')
    expect(await health()).toMatchObject({
      status: 200,
      body: { status: 'degraded', tables_accessible: { ...all(true), agent_metrics: false } },
    })
  })

  test('asks a project behind SUPABASE_URL with its service key, and finds the same', async () => {
    const { keys } = await server.status()
    await admin.query('create database other')
    const elsewhere = new URL(postgres.url)
    elsewhere.pathname = '/other'
    const env = { DATABASE_URL: elsewhere.href, SUPABASE_URL: server.url }
    const behind = await startServer('behind', { ...env, SUPABASE_KEY: keys.service })
    try {
      await until(async () => (await health(behind)).body['status'] === 'degraded')
      expect((await health(behind)).body['tables_accessible']).toEqual({ ...all(true), agent_metrics: false })
      await admin.query('grant select on agent_metrics to service_role, tidemark_app')
      expect(await health(behind)).toMatchObject({ status: 200, body: { status: 'healthy', tables_accessible: all(true) } })
    } finally {
      await behind.stop()
    }
    const stranger = await startServer('stranger', { ...env, SUPABASE_KEY: 'not-a-key-of-that-project' })
    try {
      expect(await health(stranger)).toMatchObject({ status: 503, body: { status: 'unhealthy' } })
    } finally {
      await stranger.stop()
    }
  })

  test('is unhealthy with 503 when Postgres is stopped', async () => {
    await postgres.stop()
    const { status, body } = await health()
    expect(status).toBe(503)
    expect(body).toMatchObject({ status: 'unhealthy', tables_accessible: all(false), realtime_enabled: true })
    expect(Number(body['response_time_ms'])).toBeLessThan(6000)
  })
})
