import { randomUUID } from 'node:crypto'
import { type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PusherEndpoint,
  startPusherEndpoint,
} from '../../../packages/tidemark/src/realtime/relay/testing/pusher-endpoint.js'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { untoldAnswers, type WatchedAnswers, watchAnswers } from '../../../packages/tidemark/src/testing/app/check-answers.js'
import { checkRoutes, listRoutes } from '../../../packages/tidemark/src/testing/app/check-routes.js'
import { useCleanups } from '../../../packages/tidemark/src/testing/use-cleanups.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { agents as agentsApp } from './agents.js'
import { type Agents, type AgentsOptions, openAgents } from './open-agents.js'
import { newName } from './testing/new-name.js'

const secret = 'a secret of these tests that is long enough'

let first: AppDatabase
let second: AppDatabase
let endpoint: PusherEndpoint
const watched: WatchedAnswers[] = []
const cleanups = useCleanups()

beforeAll(async () => {
  first = await openAppDatabase(agentsApp)
  second = await openAppDatabase(agentsApp)
  endpoint = await startPusherEndpoint()
})
afterAll(async () => {
  await endpoint?.stop()
  await second?.drop()
  await first?.drop()
})

const open = async (options: Partial<AgentsOptions> = {}): Promise<Agents> => {
  const { app, migrator, feed } = first.urls
  const urls = { database: app, owner: migrator, replication: feed }
  const agents = await openAgents({ ...urls, jwtSecret: secret, secondaryEveryMs: 50, ...options })
  cleanups.push(() => agents.stop())
  watched.push(watchAnswers(agents.server))
  return agents
}

const tokenOf = (claims: JWTPayload): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h').sign(new TextEncoder().encode(secret))

const signed = async () => ({ authorization: `Bearer ${await tokenOf({ role: 'service_role' })}` })

const get = async ({ server }: Agents, path: string) => server.inject({ url: `/api/v1${path}`, headers: await signed() })

const send = async ({ server }: Agents, method: 'POST' | 'PATCH', path: string, body: object) => {
  const headers = await signed()
  const { statusCode, body: text } = await server.inject({ method, url: `/api/v1${path}`, headers, payload: body })
  return { status: statusCode, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> }
}

const post = (agents: Agents, path: string, body: object = {}) => send(agents, 'POST', path, body)

const register = (agents: Agents, agent_id: string) =>
  post(agents, '/agent-instances', { agent_id, agent_type: 'quiz_generator' })

const count = async ({ owner }: AppDatabase, table: string): Promise<number> =>
  Number((await owner.query<{ n: string }>(`select count(*) as n from ${table}`)).rows[0]?.n)

describe('the app as a whole', () => {
  it('R64: without realtime nobody is told and nothing waits; without a second database nothing is spooled', async () => {
    const agents = await open({ pusher: endpoint.url, realtime: false })
    expect(agents.relay).toBeUndefined()
    const made = await register(agents, newName('quiet'))
    expect([made.status, made.body['degraded']]).toEqual([201, false])
    const { json } = await agents.server.inject({ url: '/api/v1/health/supabase' })
    expect(json()).toMatchObject({ status: 'healthy', realtime_enabled: false })
    const health = await agents.server.inject({ url: '/health' })
    expect(health.json()).toMatchObject({ status: 'ok', realtime: { state: 'disabled' }, secondary: { configured: false } })
    expect([await count(first, 'tidemark.relay_outbox'), await count(first, 'agents_spool.entries')]).toEqual([0, 0])
  })

  it('C61: a second database that is new gets what was there before it', async () => {
    const before = await count(first, 'agent_instances')
    expect(before).toBeGreaterThan(0)
    const agents = await open({ secondary: second.urls.migrator })
    await until(
      async () => (await agents.secondary!.status()).backlog === 0 && (await count(second, 'agent_instances')) === before,
    )
    await first.owner.query("delete from agent_instances where agent_id like 'quiet-%'")
    await until(async () => (await count(second, 'agent_instances')) === 0)
  })

  it('R75, R99, R127: what a task went through is in the audit log: who, in which request, from what to what', async () => {
    const agents = await open()
    const name = newName('audited')
    await register(agents, name)
    await post(agents, `/agent-instances/${name}/heartbeat`, {})
    const { body } = await post(agents, '/tasks', { agent_type: 'quiz_generator', task_type: 'quiz', input: { grade: 4 } })
    const { body: claimed } = await post(agents, `/agent-instances/${name}/claim`, {})
    expect(claimed['task_id']).toBe(body['task_id'])
    const { rows } = await first.owner.query(
      `select action, actor_role, request_id is not null as asked, old_data ->> 'status' as before, new_data ->> 'status' as after,
              new_data -> 'input_data' as input from audit_log where table_name = 'agent_executions' and record_id = $1 order by id`,
      [body['id']],
    )
    const by = { actor_role: 'service_role', asked: true, input: { grade: 4 } }
    expect(rows).toEqual([
      { ...by, action: 'INSERT', before: null, after: 'queued' },
      { ...by, action: 'UPDATE', before: 'queued', after: 'running' },
    ])
  })

  it('R98, C62: the service has its documented methods, tasks their history and the whole its health', async () => {
    const { service } = await open()
    const name = newName('served')
    const made = await service.createAgentInstance({ agent_id: name, agent_type: 'code_reviewer' })
    expect(made).toMatchObject({ agent_id: name, status: 'initializing', configuration: {}, degraded: false })
    expect((await service.updateAgentInstance(name, { status: 'idle' })).status).toBe('idle')
    expect((await service.getAgentInstance(name))?.status).toBe('idle')
    expect(await service.getAgentInstance('nobody')).toBeNull()
    expect((await service.getAllAgentInstances()).map(({ agent_id }) => agent_id)).toContain(name)
    await expect(service.createAgentInstance({ agent_id: name, agent_type: 'code_reviewer' })).rejects.toMatchObject({
      code: 'AGENTS_TAKEN',
    })

    const asked = { agent_type: 'code_reviewer', task_type: 'review', input: { file: 'a' } } as const
    const task = await service.createTaskExecution(asked)
    expect(task).toMatchObject({ status: 'queued', input_data: { file: 'a' }, user_id: null })
    await first.owner.query("update agent_executions set agent_instance_id = $2, status = 'running' where task_id = $1", [
      task.task_id,
      made.id,
    ])
    const done = await service.updateTaskExecution(task.task_id, { status: 'completed', quality_score: 0.5 })
    expect(done).toMatchObject({ status: 'completed', quality_score: 0.5 })
    expect(await service.getTaskExecution(task.task_id)).toMatchObject({ id: task.id, status: 'completed' })
    expect(await service.getTaskExecution('nothing')).toBeNull()
    expect((await service.getAgentTaskHistory(name)).map(({ task_id }) => task_id)).toEqual([task.task_id])
    expect(await service.getAgentTaskHistory('nobody')).toEqual([])

    const end = Date.now()
    const window = { period_start: new Date(end - 300_000).toISOString(), period_end: new Date(end).toISOString() }
    expect(await service.storeAgentMetrics({ agent_id: name, ...window, tasks_completed: 1 })).toMatchObject({ success_rate: 1 })
    expect(await service.getAgentMetrics(name)).toMatchObject([{ agent_instance_id: made.id, tasks_completed: 1 }])
    expect(await service.getAgentMetrics('nobody')).toEqual([])
    const measured = { responseTimeMs: 1, realtimeLagMs: null, poolUtilisation: 0.1, activeAlerts: 0, degraded: [] }
    const health = await service.storeSystemHealth(measured)
    expect(health.total_agents).toBeGreaterThan(0)
    expect((await service.getSystemHealth(1)).map(({ id }) => id)).toContain(health.id)
    expect(await service.healthCheck()).toMatchObject({ status: 'healthy', realtime_enabled: true })
    expect(await service.isAvailable()).toBe(true)
  })

  it('R48: an agent and the sum of all come from the cache until an agent changes', async () => {
    const agents = await open()
    const name = newName('cached')
    await register(agents, name)
    for (const path of [`/agent-instances/${name}`, '/health/summary']) {
      await until(async () => (await get(agents, path)).headers['x-cache'] === 'HIT')
      const before = (await get(agents, path)).body
      await first.owner.query(
        "update agent_instances set status = case status when 'error' then 'initializing' else 'error' end::agent_status where agent_id = $1",
        [name],
      )
      await until(async () => (await get(agents, path)).body !== before)
    }
    await first.owner.query('delete from system_health')
    await agents.jobs.health()
    const [reading] = (await get(agents, '/health?limit=1')).json().health
    expect(reading.p95_response_time_ms).toBeGreaterThan(0)
    expect(reading.cache_hit_rate).toBeGreaterThan(0)
    expect(reading.cache_hit_rate).toBeLessThan(1)
  })

  it('R121: each route wants a token, users reach their own tasks, and what agents do the service alone', async () => {
    const agents = await open()
    const agentId = newName('routed')
    await register(agents, agentId)
    const { body } = await post(agents, '/tasks', { agent_type: 'quiz_generator', task_type: 'quiz', user_id: randomUUID() })
    const violations = await checkRoutes(agents.server, {
      stranger: await tokenOf({ role: 'authenticated', sub: randomUUID() }),
      names: { agentId, taskId: String(body['task_id']) },
      routes: {
        'GET /health': 'open',
        'GET /livez': 'open',
        'GET /openapi.json': 'open',
        'GET /api/v1/health/supabase': 'open',
        'GET /api/v1/agent-instances': 'shared',
        'GET /api/v1/agent-instances/:agentId': 'shared',
        'POST /api/v1/agent-instances': 'staff',
        'PATCH /api/v1/agent-instances/:agentId': 'staff',
        'POST /api/v1/agent-instances/:agentId/heartbeat': 'staff',
        'POST /api/v1/agent-instances/:agentId/claim': 'staff',
        'POST /api/v1/agent-instances/:agentId/tasks': 'shared',
        'POST /api/v1/tasks': 'shared',
        'GET /api/v1/executions': 'shared',
        'GET /api/v1/executions/:taskId': 'own',
        'PATCH /api/v1/executions/:taskId': 'staff',
        'POST /api/v1/executions/:taskId/cancel': 'own',
        'GET /api/v1/queue': 'shared',
        'GET /api/v1/metrics': 'shared',
        'POST /api/v1/metrics': 'staff',
        'GET /api/v1/health': 'shared',
        'GET /api/v1/health/summary': 'staff',
        'GET /api/v1/realtime/status': 'staff',
        'GET /api/v1/alerts': 'staff',
      },
    })
    expect(violations).toEqual([])
  })

  it('C60: two servers tell of everything once, whichever was written through', async () => {
    const [one, other] = [await open({ pusher: endpoint.url }), await open({ pusher: endpoint.url })]
    const names = Array.from({ length: 20 }, () => newName('told'))
    for (const [n, name] of names.entries()) {
      await register(n % 2 === 0 ? one : other, name)
      expect((await post(n % 2 === 0 ? other : one, `/agent-instances/${name}/heartbeat`, {})).status).toBe(200)
    }
    // The feed tells of this one alone, and with it has passed all of them.
    await first.owner.query("update agent_instances set status = 'maintenance' where agent_id = $1", [names.at(-1)])
    await until(() => endpoint.told.some(({ data }) => data['status'] === 'maintenance'), { timeoutMs: 20_000 })
    for (const name of names.slice(0, -1)) {
      const told = endpoint.told.filter(({ data }) => data['agent_id'] === name).map((event) => event.name)
      expect(told).toEqual(['agent_registered', 'status_changed'])
    }
    expect(endpoint.told.filter(({ data }) => data['status'] === 'maintenance')).toHaveLength(1)
  })
})

describe('what is answered', () => {
  it('is what the document of the routes says, of each of them', async () => {
    const agents = await open({ pusher: endpoint.url, secondary: second.urls.migrator })
    expect(await untoldAnswers(agents.server)).toEqual([])
    const name = newName('told')
    const own = `/agent-instances/${name}`
    const task = { task_type: 'terrain', input: { size: 3 } }
    const made = { agent_id: name, agent_type: 'terrain_generator' }
    agents.signals.raise({ name: 'feed.away', subject: 'of a test', message: 'Nothing comes.' })
    await post(agents, '/agent-instances', made)
    await post(agents, `${own}/heartbeat`)
    expect((await post(agents, `${own}/claim`)).status).toBe(204)
    const [first, other] = [await post(agents, `${own}/tasks`, task), await post(agents, `${own}/tasks`, task)]
    await get(agents, '/queue')
    expect((await post(agents, `${own}/claim`)).body).toMatchObject({ task_id: first.body['task_id'], status: 'running' })
    await post(agents, `/executions/${first.body['task_id']}/cancel`)
    expect((await post(agents, `${own}/heartbeat`)).body['cancel']).toEqual([first.body['task_id']])
    const done = { status: 'completed', output_data: ['hills'], quality_score: 0.5 }
    await send(agents, 'PATCH', `/executions/${first.body['task_id']}`, done)
    expect((await post(agents, `/executions/${other.body['task_id']}/cancel`)).body['status']).toBe('cancelled')
    await send(agents, 'PATCH', own, { status_reason: 'a test' })
    const end = Date.now()
    const window = { period_start: new Date(end - 300_000).toISOString(), period_end: new Date(end).toISOString() }
    await post(agents, '/metrics', { agent_id: name, ...window, tasks_completed: 1 })
    await agents.jobs.health()
    const others = [own, `/executions/${first.body['task_id']}`, '/health/summary', '/health/supabase', '/realtime/status']
    for (const path of others) expect((await get(agents, path)).statusCode).toBe(200)
    for (const list of ['agents', 'executions', 'metrics', 'health', 'alerts'])
      expect((await get(agents, `/${list === 'agents' ? 'agent-instances' : list}`)).json()[list]).not.toEqual([])
    await agents.server.inject('/health')
    await agents.server.inject('/livez')
    // All that came before as well.
    expect(watched.flatMap(({ violations }) => violations)).toEqual([])
    const answered = new Set(watched.flatMap((each) => [...each.answered]))
    expect(listRoutes(agents.server).filter((route) => !answered.has(route))).toEqual([])
  })
})
