import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { useCleanups } from '../../../packages/tidemark/src/testing/use-cleanups.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { agents as agentsApp } from './agents.js'
import { type Agents, openAgents } from './open-agents.js'
import { newName } from './testing/new-name.js'
import { openGate, type TcpGate } from './testing/tcp-gate.js'
import { createWorker, type WorkerOptions } from './worker.js'

const secret = 'a secret of these tests that is long enough'
const cleanups = useCleanups()
let database: AppDatabase
let agents: Agents
let gate: TcpGate
let token: string

beforeAll(async () => {
  database = await openAppDatabase(agentsApp)
  const { app, migrator, feed } = database.urls
  agents = await openAgents({ database: app, owner: migrator, replication: feed, jwtSecret: secret, backoff: { baseMs: 10 } })
  await agents.server.listen({ port: 0, host: '127.0.0.1' })
  gate = await openGate(`http://127.0.0.1:${(agents.server.server.address() as AddressInfo).port}`)
  token = await new SignJWT({ role: 'service_role' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret))
})
afterAll(async () => {
  await gate?.stop()
  await agents?.stop()
  await database?.drop()
})

const register = async (): Promise<string> => {
  const agent_id = newName('worker')
  await agents.service.createAgentInstance({ agent_id, agent_type: 'quiz_generator' })
  return agent_id
}

const queueFor = async (agentId: string): Promise<string> => {
  const { rows } = await database.owner.query<{ task_id: string }>(
    `insert into agent_executions (task_id, agent_type, agent_instance_id, task_type, status)
     select $1, agent_type, id, 'quiz', 'queued' from agent_instances where agent_id = $2 returning task_id`,
    [newName('task'), agentId],
  )
  return rows[0]!.task_id
}

const startWorker = (agentId: string, run: WorkerOptions['run']): void => {
  const url = gate.url.replace(/\/$/, '')
  const worker = createWorker({ url, token, agentId, run, pollMs: 20, beatEveryMs: 1_000 })
  worker.start()
  cleanups.push(() => worker.stop())
}

const ended = (taskId: string) =>
  until(async () => {
    const task = await agents.service.getTaskExecution(taskId)
    return task?.completed_at == null ? undefined : task
  })

it('a worker that begins again under its name runs what it was at when it died', async () => {
  const name = await register()
  const taskId = await queueFor(name)
  const call = (path: string) =>
    agents.server.inject({
      method: 'POST',
      url: `/api/v1/agent-instances/${name}/${path}`,
      headers: { authorization: `Bearer ${token}` },
    })
  await call('heartbeat')
  expect((await call('claim')).json()).toMatchObject({ task_id: taskId, status: 'running' })
  startWorker(name, async () => ({ output: ['done'] }))
  expect(await ended(taskId)).toMatchObject({ status: 'completed', retry_count: 1, output_data: ['done'] })
})

it('what is done is told until it is heard, and not done again', async () => {
  const name = await register()
  const taskId = await queueFor(name)
  let runs = 0
  startWorker(name, async () => {
    runs += 1
    gate.shut()
    setTimeout(() => gate.open(), 200)
    return { output: ['done'] }
  })
  expect(await ended(taskId)).toMatchObject({ status: 'completed', retry_count: 0, output_data: ['done'] })
  expect(runs).toBe(1)
})
