import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type PusherEndpoint,
  startPusherEndpoint,
} from '../../../packages/tidemark/src/realtime/relay/testing/pusher-endpoint.js'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app-database.js'
import { useCleanups } from '../../../packages/tidemark/src/testing/use-cleanups.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { agents as agentsApp } from './agents.js'
import { type Agents, type AgentsOptions, openAgents } from './open-agents.js'
import { newName } from './testing/new-name.js'

const secret = 'a secret of these tests that is long enough'

let first: AppDatabase
let second: AppDatabase
let endpoint: PusherEndpoint
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
  return agents
}

const post = async (
  { server }: Agents,
  path: string,
  body: object,
): Promise<{ status: number; body: Record<string, unknown> }> => {
  const token = await new SignJWT({ role: 'service_role' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret))
  const headers = { authorization: `Bearer ${token}` }
  const { statusCode, body: text } = await server.inject({ method: 'POST', url: `/api/v1${path}`, headers, payload: body })
  return { status: statusCode, body: JSON.parse(text) as Record<string, unknown> }
}

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
    await until(async () => (await agents.secondary!.status()).backlog === 0)
    expect(await count(second, 'agent_instances')).toBe(before)
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
