import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRedis } from '../redis/create-redis.js'
import { findRedisServer } from '../redis/embedded/find-server.js'
import type { BreakersReport } from '../server/operations/breakers.js'
import { openResilience, type Resilience } from '../server/resilience/open-resilience.js'
import { runCli } from '../testing/project/cli-call.js'
import { type CliProcess, startCli, untilServing } from '../testing/project/cli-process.js'
import { createPreparedProject } from '../testing/project/prepared-project.js'
import { startTestRedis, type TestRedis } from '../testing/redis/redis-server.js'
import { until } from '../time/until.js'

const hasRedis = (await findRedisServer()) !== undefined
const slow = { timeoutMs: 60_000, intervalMs: 200 }

describe.skipIf(!hasRedis)('tidemark breakers', () => {
  let dir: string
  let remove: () => Promise<void>
  let redis: TestRedis
  let server: CliProcess
  let url: string
  let app: Resilience
  let stopApp: () => Promise<void>
  const env = () => ({ PORT: '0', REDIS_URL: redis.url })

  const json = async <T = BreakersReport>(args: readonly string[]) => {
    const { exitCode, stdout } = await runCli([...args, '--json'], { cwd: dir, env: env() })
    return { exitCode, data: JSON.parse(stdout) as T & { readonly error?: { readonly code: string } } }
  }
  let client: pg.Client

  beforeAll(async () => {
    const folder = await createPreparedProject()
    dir = folder.dir
    remove = folder.remove
    redis = await startTestRedis()
    await writeFile(join(dir, 'tidemark.config.ts'), `import { defineConfig } from 'tidemark'\nexport default defineConfig({})`)
    server = startCli(['start', '--json'], { cwd: dir, env: env() })
    url = await untilServing(server)
    const { stdout } = await runCli(['db', 'url', '--show-keys'], { cwd: dir, env: env() })
    client = new pg.Client({ connectionString: stdout.trim() })
    await client.connect()
    // An app beside the server, which shares its Redis.
    const connection = await createRedis({ url: redis.url })
    app = await openResilience({ redis: connection })
    stopApp = async () => {
      await app.stop()
      await connection.stop()
    }
    app.breaker('crm')
  })

  afterAll(async () => {
    await stopApp?.()
    await client?.end()
    server?.child.kill('SIGTERM')
    await server?.ended
    await redis?.stop()
    await remove?.()
  })

  test('list what processes call, and open, close and reset it for all of them', async () => {
    await until(async () => (await json(['breakers', 'list'])).data.breakers.length === 1, slow)
    const { data } = await json(['breakers', 'open', 'crm', '--reason', 'maintenance', '--for', '10m'])
    expect(data).toMatchObject({
      scope: 'all processes',
      breakers: [{ service: 'crm', state: 'OPEN', forced: 'OPEN', reason: 'maintenance', processes: 1 }],
    })
    await until(() => app.breaker('crm').read().forced === 'OPEN')
    await expect(app.breaker('crm').run(async () => 1)).rejects.toMatchObject({ code: 'TM_RESILIENCE_BREAKER_OPEN' })
    const text = (await runCli(['breakers'], { cwd: dir, env: env() })).stdout
    expect(text).toMatch(/^crm +OPEN +held until .*maintenance$/m)
    expect((await json(['breakers', 'reset', 'crm', '--dry-run'])).data.breakers[0]).toMatchObject({ state: 'OPEN' })
    expect((await json(['breakers', 'close', 'crm'])).data.breakers[0]).toMatchObject({ state: 'CLOSED', forced: 'CLOSED' })
    expect((await json(['breakers', 'reset', 'crm'])).data.breakers[0]).toMatchObject({ state: 'CLOSED', forced: null })
    await until(() => app.breaker('crm').read().forced === null)
    expect(await app.breaker('crm').run(async () => 1)).toBe(1)
    const { exitCode, data: refusal } = await json(['breakers', 'open', 'crn'])
    expect([exitCode, refusal.error?.code]).toEqual([2, 'TM_RESILIENCE_UNKNOWN_SERVICE'])
    const badTime = await json(['breakers', 'open', 'crm', '--for', 'soon'])
    expect(badTime.data.error?.code).toBe('TM_CLI_USAGE')
  })

  test('R139, R140: a server writes a row of each request, counts it in Redis, and shows breakers and journals', async () => {
    await fetch(`${url}/admin/v1/nothing-like-this`)
    const endpoints = await until(async () => {
      const { rows } = await client.query<{ endpoint: string }>('select distinct endpoint from public.api_metrics')
      const found = rows.map(({ endpoint }) => endpoint)
      return found.includes('none') && found.includes('/admin/v1/breakers') ? found : undefined
    }, slow)
    expect(endpoints.filter((endpoint) => endpoint === '/health' || endpoint === '/metrics')).toEqual([])
    const connection = await createRedis({ url: redis.url })
    const day = new Date().toISOString().slice(0, 10)
    const requests = await connection.command<string>(['HGET', `reanna:metrics:api:${day}`, 'requests'])
    expect(Number(requests)).toBeGreaterThan(0)
    await connection.stop()
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toMatch(/^tidemark_api_metrics_rows_total\{outcome="written"\} \d+$/m)
    expect(metrics).toMatch(/^tidemark_journal_entries\{journal="breaker-events"\} 0$/m)
    const health = (await (await fetch(`${url}/health`)).json()) as { readonly components: Record<string, unknown> }
    expect(health.components).toMatchObject({ breakers: { status: 'up' }, 'journal breaker-events': { status: 'up' } })
  })
})
