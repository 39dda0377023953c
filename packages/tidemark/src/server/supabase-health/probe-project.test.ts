import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { resolveConfig } from '../../config/config.js'
import { createSupabaseHealth } from './supabase-health.js'

const key = 'service-key-of-the-test'
const names = ['agent_instances', 'agent_executions', 'agent_metrics'] as const

/** What the project answers, by table. */
let statuses: Record<string, { readonly status: number; readonly body?: object }>
let asked: IncomingMessage[]
let project: Server
let url: string

beforeAll(async () => {
  project = createServer((request, response) => {
    asked.push(request)
    const name = new URL(request.url ?? '/', 'http://project').pathname.replace('/rest/v1/', '')
    const known = request.headers.apikey === key
    const { status, body = [] } = known
      ? (statuses[name] ?? { status: 200 })
      : { status: 401, body: { message: 'Invalid API key' } }
    if (status === 0) return void response.destroy()
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => project.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(project.address() as AddressInfo).port}`
})

afterAll(() => new Promise((resolve) => project.close(resolve)))

beforeEach(() => {
  statuses = {}
  asked = []
})

const health = (env: Record<string, string> = {}) =>
  createSupabaseHealth({
    config: resolveConfig({
      env: { SUPABASE_URL: url, SUPABASE_KEY: key, SUPABASE_HEALTH_TABLES: names.join(','), SUPABASE_TIMEOUT: '2', ...env },
    }),
    runtime: () => undefined,
  })

const all = (accessible: boolean) => Object.fromEntries(names.map((name) => [name, accessible]))

describe('R112: the health of a project of the cloud', () => {
  it('asks each table over REST with the key, and is healthy', async () => {
    const { httpStatus, body } = await health()()
    expect(httpStatus).toBe(200)
    expect(body).toEqual({
      status: 'healthy',
      response_time_ms: expect.any(Number),
      tables_accessible: all(true),
      realtime_enabled: true,
    })
    expect(asked.map((request) => request.url).toSorted()).toEqual(
      names.map((name) => `/rest/v1/${name}?select=*&limit=0`).toSorted(),
    )
    for (const { headers, url: path } of asked) {
      expect(headers).toMatchObject({ apikey: key, authorization: `Bearer ${key}`, 'accept-profile': 'public' })
      expect(path).not.toContain(key)
    }
  })

  it.each([
    { status: 404, body: { code: 'PGRST205' } },
    { status: 403, body: { code: '42501' } },
    { status: 401, body: { code: '42501' } },
    { status: 500 },
    { status: 0 },
  ])('is degraded where one table is not served: %j', async (answer) => {
    statuses = { agent_metrics: answer }
    expect(await health()()).toMatchObject({
      httpStatus: 200,
      body: { status: 'degraded', tables_accessible: { ...all(true), agent_metrics: false } },
    })
  })

  it.each([{ status: 503 }, { status: 540 }, { status: 0 }])('is unhealthy where nothing is served: %j', async (answer) => {
    statuses = Object.fromEntries(names.map((name) => [name, answer]))
    expect(await health()()).toMatchObject({ httpStatus: 503, body: { status: 'unhealthy', tables_accessible: all(false) } })
  })

  it('is unhealthy with a key that is not known, and without any', async () => {
    expect((await health({ SUPABASE_KEY: 'another' })()).body.status).toBe('unhealthy')
    const keyless = createSupabaseHealth({ config: resolveConfig({ env: { SUPABASE_URL: url } }), runtime: () => undefined })
    expect(await keyless()).toMatchObject({ httpStatus: 503, body: { status: 'unhealthy' } })
  })

  it('without tables asks for the root; takes the schema of the agents, or the one that is named', async () => {
    expect((await health({ SUPABASE_HEALTH_TABLES: '' })()).body).toMatchObject({ status: 'healthy', tables_accessible: {} })
    expect(asked.map((request) => request.url)).toEqual(['/rest/v1/'])
    asked = []
    await health({ SUPABASE_HEALTH_TABLES: 'a,other.b', SUPABASE_AGENT_SCHEMA: 'agents' })()
    expect(asked.map(({ headers, url: path }) => [path?.split('?')[0], headers['accept-profile']]).toSorted()).toEqual([
      ['/rest/v1/a', 'agents'],
      ['/rest/v1/b', 'other'],
    ])
  })

  it('R93: says whether realtime is on', async () => {
    expect((await health({ SUPABASE_ENABLE_REALTIME: 'false' })()).body.realtime_enabled).toBe(false)
  })

  it('looks once for all who ask at a time', async () => {
    const check = health()
    await Promise.all([check(), check(), check()])
    expect(asked).toHaveLength(names.length)
    await check()
    expect(asked).toHaveLength(2 * names.length)
  })
})
