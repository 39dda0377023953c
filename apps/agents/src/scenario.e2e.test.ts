import { readdir } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PusherEndpoint,
  startPusherEndpoint,
} from '../../../packages/tidemark/src/realtime/relay/testing/pusher-endpoint.js'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { setup as startPostgres } from '../../../packages/tidemark/src/testing/postgres/postgres-setup.js'
import { useRedis } from '../../../packages/tidemark/src/testing/redis/use-redis.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { agents as agentsApp } from './agents.js'
import { createAgentsMigrations } from './migration-service.js'
import { type Agents, openAgents } from './open-agents.js'
import type { AgentInstance, Execution, Metric } from './repository/rows.js'
import type { Alert } from './routes/answers.js'
import type { SecondaryStatus } from './second-database/secondary.js'
import { createServiceClient } from './testing/service-client.js'
import { openGate, type TcpGate } from './testing/tcp-gate.js'
import { createWorker, type Worker, type WorkerOptions } from './worker.js'

const secret = 'a secret of the scenario that is long enough'
const alice = '5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1a01'
const bob = '5f3a1c1e-6a55-4f3e-9d0f-3b1f6f0c1b02'

describe('S5: agents take tasks, tell of them once, and outlive each other and their second database', () => {
  // @holds R132
  const redis = useRedis()
  let stopPostgres: () => Promise<void>
  let first: AppDatabase
  let second: AppDatabase
  let endpoint: PusherEndpoint
  let gate: TcpGate
  let running: Agents
  let url: string
  let owner: pg.Client
  let there: pg.Client
  let offsetMs = 0
  const clock = { now: () => Date.now() + offsetMs }
  const workers: Worker[] = []

  const { tokenOf, ask } = createServiceClient(secret, () => url)

  const register = async (agent_id: string, agent_type = 'quiz_generator'): Promise<AgentInstance> => {
    expect((await ask('POST', '/agent-instances', { body: { agent_id, agent_type } })).status).toBe(201)
    const { status, body } = await ask<AgentInstance>('POST', `/agent-instances/${agent_id}/heartbeat`, { body: {} })
    expect(status).toBe(200)
    return body
  }

  const startWorker = async (agentId: string, run: WorkerOptions['run'], more: Partial<WorkerOptions> = {}): Promise<Worker> => {
    const worker = createWorker({
      url,
      token: await tokenOf('service_role'),
      agentId,
      run,
      pollMs: 20,
      beatEveryMs: 1_000,
      ...more,
    })
    workers.push(worker)
    worker.start()
    return worker
  }

  const execution = async (taskId: string): Promise<Execution> => (await ask<Execution>('GET', `/executions/${taskId}`)).body

  /** Of one entity, as a frontend sees it. */
  const toldOf = (field: string, value: string): readonly string[] =>
    endpoint.told.filter(({ data }) => data[field] === value).map(({ name, data }) => `${name} ${data['status']}`)

  const count = async (client: pg.Client, table: string): Promise<number> =>
    Number((await client.query(`select count(*) as n from ${table}`)).rows[0].n)

  const signalsOf = async (type: string, entity: string): Promise<readonly string[]> => {
    const sql = 'select kind from tidemark.alert_signals where alert_type = $1 and entity_id = $2 order by seq'
    return (await owner.query<{ kind: string }>(sql, [type, entity])).rows.map(({ kind }) => kind)
  }

  const connect = async (connectionString: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString })
    await client.connect()
    return client
  }

  beforeAll(async () => {
    stopPostgres = await startPostgres()
    first = await openAppDatabase(agentsApp)
    second = await openAppDatabase(agentsApp)
    const { urls } = first
    endpoint = await startPusherEndpoint()
    gate = await openGate(second.urls.migrator)
    owner = await connect(urls.migrator)
    there = await connect(second.urls.migrator)
    running = await openAgents({
      database: urls.app,
      owner: urls.migrator,
      replication: urls.feed,
      secondary: gate.url,
      redis: redis.url,
      prefix: 'test:',
      pusher: endpoint.url,
      jwtSecret: secret,
      backoff: { baseMs: 10, maxMs: 50 },
      secondaryEveryMs: 100,
      clock,
    })
    url = await running.server.listen({ port: 0, host: '127.0.0.1' })
  }, 300_000)

  afterAll(async () => {
    for (const worker of workers) await worker.stop()
    await running?.stop()
    await owner?.end()
    await there?.end()
    await gate?.stop()
    await endpoint?.stop()
    await second?.drop()
    await first?.drop()
    await stopPostgres?.()
  })

  it('step 1 (R62, C60): a new agent is initializing, its first heartbeat makes it idle, and each is told once although two tell it', async () => {
    const body = { agent_id: 'quiz-1', agent_type: 'quiz_generator' }
    const made = await ask<AgentInstance>('POST', '/agent-instances', { body })
    expect([made.status, made.body.status]).toEqual([201, 'initializing'])
    const beat = await ask<AgentInstance>('POST', '/agent-instances/quiz-1/heartbeat', { body: {} })
    expect(beat.body.status).toBe('idle')
    expect((await ask('POST', '/agent-instances', { body: { ...body, agent_type: 'poet' } })).status).toBe(422)
    expect((await ask('POST', '/agent-instances', { body })).status).toBe(409)
    expect(
      (await ask('POST', '/agent-instances', { body: { ...body, agent_id: 'x' }, role: 'authenticated', sub: alice })).status,
    ).toBe(403)
    // Past this server: only the feed can tell of it, and once it has, it has passed everything from before.
    await owner.query("update agent_instances set status = 'maintenance' where agent_id = 'quiz-1'")
    await until(() => toldOf('agent_id', 'quiz-1').includes('status_changed maintenance'), { timeoutMs: 30_000 })
    await owner.query("update agent_instances set status = 'idle' where agent_id = 'quiz-1'")
    await until(() => toldOf('agent_id', 'quiz-1').length >= 4, { timeoutMs: 30_000 })
    expect(toldOf('agent_id', 'quiz-1')).toEqual([
      'agent_registered initializing',
      'status_changed idle',
      'status_changed maintenance',
      'status_changed idle',
    ])
    expect((await owner.query("select status from agent_instances where agent_id = 'quiz-1'")).rows).toEqual([{ status: 'idle' }])
    const { body: status } = await ask<{ repeated: number; state: string }>('GET', '/realtime/status')
    expect(status).toMatchObject({ state: 'running', durable: true, refused: 0 })
    expect(status.repeated).toBeGreaterThanOrEqual(2)
    expect(endpoint.refused).toEqual([])
  })

  it('step 2 (R63, C63): a task runs, is told of in order, ends once, and counts once', async () => {
    const worker = await startWorker('quiz-1', async ({ input_data }) => ({ output: { questions: [input_data] }, quality: 0.8 }))
    const asked = await ask<Execution>('POST', '/agent-instances/quiz-1/tasks', {
      body: { task_type: 'quiz', input: { topic: 'fractions' } },
    })
    expect(asked.status).toBe(202)
    const { task_id } = asked.body
    await until(async () => (await execution(task_id)).status === 'completed')
    await until(() => toldOf('task_id', task_id).includes('task_completed completed'))
    expect(toldOf('task_id', task_id)).toEqual([
      'task_created queued',
      'task_assigned queued',
      'task_started running',
      'task_completed completed',
    ])
    expect(JSON.stringify(endpoint.told)).not.toContain('fractions')
    const row = await execution(task_id)
    expect(row.output_data).toEqual({ questions: [{ topic: 'fractions' }] })
    expect(row.execution_time_seconds).toBeGreaterThan(0)
    expect(row.quality_score).toBe(0.8)
    expect((await ask<AgentInstance>('GET', '/agent-instances/quiz-1')).body).toMatchObject({ total_tasks_completed: 1 })
    expect((await ask('PATCH', `/executions/${task_id}`, { body: { status: 'running' } })).status).toBe(409)
    await worker.stop()
  })

  it('step 3: a failing task is tried again as often as it may be, and then has failed', async () => {
    await register('script-1', 'script_generator')
    let runs = 0
    const worker = await startWorker('script-1', async () => {
      runs += 1
      throw new Error('no luck')
    })
    const body = { agent_type: 'script_generator', task_type: 'script', max_retries: 2 }
    const { task_id } = (await ask<Execution>('POST', '/tasks', { body })).body
    await until(async () => (await execution(task_id)).status === 'failed', { timeoutMs: 20_000 })
    expect(runs).toBe(3)
    await until(() => toldOf('task_id', task_id).includes('task_failed failed'))
    expect(toldOf('task_id', task_id).filter((told) => told === 'task_updated retrying')).toHaveLength(2)
    expect((await execution(task_id)).error_message).toBe('no luck')
    expect((await ask<AgentInstance>('GET', '/agent-instances/script-1')).body.total_tasks_failed).toBe(1)
    await worker.stop()
  })

  it('step 4: of 50 tasks four workers do each once, the critical before the low', async () => {
    const done: { readonly id: string; readonly priority: unknown }[] = []
    const tasks = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        ask<Execution>('POST', '/tasks', {
          body: { agent_type: 'code_reviewer', task_type: 'review', input: { n }, priority: n % 2 === 0 ? 'low' : 'critical' },
        }),
      ),
    )
    expect(tasks.every(({ status }) => status === 202)).toBe(true)
    const priorityOf = new Map(tasks.map(({ body }) => [body.task_id, body.priority]))
    const four = ['review-1', 'review-2', 'review-3', 'review-4']
    for (const name of four) await register(name, 'code_reviewer')
    const started = await Promise.all(
      four.map((name) =>
        startWorker(name, async ({ task_id }) => {
          done.push({ id: task_id, priority: priorityOf.get(task_id) })
          return { output: null }
        }),
      ),
    )
    await until(() => done.length >= 50, { timeoutMs: 60_000 })
    for (const worker of started) await worker.stop()
    expect(new Set(done.map(({ id }) => id)).size).toBe(50)
    expect(done).toHaveLength(50)
    // Who takes a low one finds no critical one left but what the three others have in hand, however slow they are.
    const criticalsAfter = done.map((_, place) => done.slice(place).filter(({ priority }) => priority === 'critical').length)
    expect(done.findIndex(({ priority }, place) => priority === 'low' && criticalsAfter[place]! > 3)).toBe(-1)
    const { rows } = await owner.query(
      "select sum(total_tasks_completed) as n from agent_instances where agent_type = 'code_reviewer'",
    )
    expect(Number(rows[0].n)).toBe(50)
  })

  it('step 5: an agent that is silent for 90 s is offline, its task is done elsewhere, and there is an alert until it is back', async () => {
    await register('asset-1', 'roblox_asset')
    const { task_id } = (await ask<Execution>('POST', '/tasks', { body: { agent_type: 'roblox_asset', task_type: 'asset' } }))
      .body
    expect((await ask('POST', '/agent-instances/asset-1/claim')).status).toBe(200)
    offsetMs += 91_000
    await register('asset-2', 'roblox_asset')
    await running.jobs.silence()
    expect((await ask<AgentInstance>('GET', '/agent-instances/asset-1')).body).toMatchObject({
      status: 'offline',
      current_task_id: null,
    })
    await until(() => toldOf('agent_id', 'asset-1').at(-1) === 'status_changed offline')
    const active = (await ask<{ alerts: readonly Alert[] }>('GET', '/alerts')).body.alerts
    expect(active).toContainEqual(
      expect.objectContaining({ alert_type: 'heartbeat.missed', entity_id: 'agent asset-1', status: 'active' }),
    )
    offsetMs += 1_000
    const worker = await startWorker('asset-2', async () => ({ output: 'done elsewhere' }))
    await until(async () => (await execution(task_id)).status === 'completed')
    await worker.stop()
    expect(await execution(task_id)).toMatchObject({ retry_count: 1, output_data: 'done elsewhere' })
    // It comes back, and its late answer changes nothing.
    expect((await ask('PATCH', `/executions/${task_id}`, { body: { status: 'failed' } })).status).toBe(409)
    await ask('POST', '/agent-instances/asset-1/heartbeat', { body: {} })
    await running.jobs.silence()
    const later = (await ask<{ alerts: readonly Alert[] }>('GET', '/alerts')).body.alerts
    expect(later.find(({ entity_id }) => entity_id === 'agent asset-1')).toMatchObject({ status: 'resolved' })
    // Where Tidemark's own alerts hear of it, in the transactions that it belongs to.
    expect(await signalsOf('heartbeat.missed', 'asset-1')).toEqual(['raise', 'resolve'])
  })

  it('step 6 (C65, C64): metrics of the last 24 hours at three in the morning; a window stored twice is one row', async () => {
    const night = new Date(Math.ceil(clock.now() / 86_400_000) * 86_400_000 + 3 * 3_600_000)
    offsetMs = night.getTime() - Date.now()
    const start = night.getTime() - 600_000
    const body = {
      agent_id: 'quiz-1',
      period_start: new Date(start).toISOString(),
      period_end: new Date(start + 300_000).toISOString(),
      tasks_completed: 3,
      tasks_failed: 1,
    }
    expect((await ask('POST', '/metrics', { body })).status).toBe(201)
    const again = await ask<Metric>('POST', '/metrics', { body: { ...body, tasks_failed: 0 } })
    expect([again.status, again.body.success_rate]).toEqual([200, 1])
    const { status, body: found } = await ask<{ metrics: readonly Metric[] }>('GET', '/metrics?hours=24&agent_id=quiz-1')
    expect(status).toBe(200)
    expect(found.metrics.filter(({ id }) => id === again.body.id)).toHaveLength(1)
    await running.jobs.metrics()
    await running.jobs.health()
    expect((await ask<{ health: readonly unknown[] }>('GET', '/health?hours=24')).body.health.length).toBeGreaterThan(0)
    await until(() => endpoint.told.some(({ name }) => name === 'health_updated'))
    expect(endpoint.told.filter(({ name, data }) => name === 'metrics_updated' && data['id'] === again.body.id)).toHaveLength(2)
    offsetMs = 0
  })

  it('step 7 (C61, R73): while the second database is away everything is answered, and it gets all of it in order when it is back', async () => {
    const health = async () =>
      ((await (await fetch(`${url}/health`)).json()) as { secondary: SecondaryStatus; active_alerts: number }).secondary
    await until(async () => (await health()).backlog === 0, { timeoutMs: 20_000 })
    gate.shut()
    for (let n = 1; n <= 5; n++) {
      const { status, body } = await ask<{ degraded: boolean }>('POST', '/agent-instances', {
        body: { agent_id: `away-${n}`, agent_type: 'terrain_generator' },
      })
      expect([status, body.degraded]).toEqual([201, true])
    }
    const asked = await ask<Execution & { degraded: boolean }>('POST', '/agent-instances/away-1/tasks', {
      body: { task_type: 't' },
    })
    expect([asked.status, asked.body.degraded]).toEqual([202, true])
    await ask('POST', '/agent-instances/away-1/heartbeat', { body: {} })
    expect((await ask('POST', '/agent-instances/away-1/claim')).status).toBe(200)
    expect((await ask('PATCH', `/executions/${asked.body.task_id}`, { body: { status: 'completed' } })).status).toBe(200)
    expect(await health()).toMatchObject({ available: false, last_error: expect.any(String) })
    expect((await health()).backlog).toBeGreaterThanOrEqual(9)
    const alertOf = async () =>
      (await ask<{ alerts: readonly Alert[] }>('GET', '/alerts')).body.alerts.find(
        ({ alert_type }) => alert_type === 'secondary.down',
      )
    expect(await alertOf()).toMatchObject({ status: 'active' })
    expect(await fetch(`${url}/api/v1/health/supabase`).then((response) => response.status)).toBe(503)
    gate.open()
    await until(async () => (await health()).backlog === 0, { timeoutMs: 30_000 })
    expect(await alertOf()).toMatchObject({ status: 'resolved' })
    await until(async () => (await signalsOf('secondary.down', 'secondary database')).at(-1) === 'resolve')
    for (const table of ['agent_instances', 'agent_executions', 'agent_metrics', 'system_health'])
      expect([table, await count(there, table)]).toEqual([table, await count(owner, table)])
    const rows = (client: pg.Client) => client.query('select * from agent_executions order by id').then((result) => result.rows)
    expect(await rows(there)).toEqual(await rows(owner))
    // A second database that is late on a busy machine is one that is away.
    let tries = 0
    const isWhole = async () => {
      const body = { agent_id: `back-${++tries}`, agent_type: 'terrain_generator' }
      return !(await ask<{ degraded: boolean }>('POST', '/agent-instances', { body })).body.degraded
    }
    await until(isWhole, { timeoutMs: 30_000, what: 'An answer that is not degraded' })
    expect((await there.query('select from agent_instances where agent_id = $1', [`back-${tries}`])).rowCount).toBe(1)
  })

  it('step 8 (R112): the health of the second database tells which tables answer', async () => {
    const look = async () => {
      const response = await fetch(`${url}/api/v1/health/supabase`)
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    }
    const accessible = { agent_instances: true, agent_executions: true, agent_metrics: true }
    expect(await look()).toEqual({
      status: 200,
      body: { status: 'healthy', response_time_ms: expect.any(Number), tables_accessible: accessible, realtime_enabled: true },
    })
    await there.query('revoke select on agent_metrics from service_role')
    expect(await look()).toMatchObject({
      status: 200,
      body: { status: 'degraded', tables_accessible: { ...accessible, agent_metrics: false } },
    })
    await there.query('grant select on agent_metrics to service_role')
    gate.shut()
    expect(await look()).toMatchObject({ status: 503, body: { status: 'unhealthy' } })
    gate.open()
  })

  it('step 9 (C59, R121): who has not signed in sees no row, users see agents and their own tasks, the service sees all', async () => {
    const mine = await ask<Execution>('POST', '/tasks', {
      body: { agent_type: 'roblox_testing', task_type: 'test' },
      role: 'authenticated',
      sub: alice,
    })
    expect([mine.status, mine.body.user_id]).toEqual([202, alice])
    const seen = async (role: string, sub?: string) => {
      const as = { role, ...(sub !== undefined && { sub }) }
      const { agents: all } = (await ask<{ agents: readonly unknown[] }>('GET', '/agent-instances', as)).body
      const { executions } = (await ask<{ executions: readonly Execution[] }>('GET', '/executions', as)).body
      return { agents: all.length > 0, executions: executions.map(({ task_id }) => task_id) }
    }
    expect(await seen('anon')).toEqual({ agents: false, executions: [] })
    expect(await seen('authenticated', alice)).toEqual({ agents: true, executions: [mine.body.task_id] })
    expect(await seen('authenticated', bob)).toEqual({ agents: true, executions: [] })
    expect((await seen('service_role')).executions.length).toBeGreaterThan(50)
    expect((await ask('GET', `/executions/${mine.body.task_id}`, { role: 'authenticated', sub: bob })).status).toBe(404)
    expect((await fetch(`${url}/api/v1/agent-instances`)).status).toBe(401)
    const cancelled = await ask<Execution>('POST', `/executions/${mine.body.task_id}/cancel`, {
      role: 'authenticated',
      sub: alice,
    })
    expect([cancelled.status, cancelled.body.status]).toEqual([200, 'cancelled'])
  })

  it('step 10 (R85, R86): migrations are known, and a column that somebody made by hand is found', async () => {
    const { migrator: database } = first.urls
    const service = createAgentsMigrations({ database })
    expect((await service.runMigrations()).applied).toEqual([])
    const { upToDate, current, head, migrations } = await service.getMigrationStatus()
    const files = (await readdir(agentsApp.migrations)).sort()
    expect([upToDate, current, head]).toEqual([true, head, files.at(-1)!.split('_')[0]])
    expect(migrations.filter(({ source }) => source === 'app:agents')).toHaveLength(files.length)
    expect(await service.syncSchemas()).toEqual({ inSync: true, differences: [] })
    const both = createAgentsMigrations({ database, secondary: second.urls.migrator })
    expect(await both.syncSchemas()).toEqual({ inSync: true, differences: [] })
    await owner.query('alter table agent_instances add column by_hand text')
    const column = expect.objectContaining({ kind: 'column', parent: 'agent_instances', name: 'by_hand', state: 'extra' })
    for (const each of [service, both]) expect(await each.syncSchemas()).toEqual({ inSync: false, differences: [column] })
    await owner.query('alter table agent_instances drop column by_hand')
  })
})
