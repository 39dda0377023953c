import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../../packages/tidemark/src/testing/app/app-database.js'
import type { Caller } from '../access.js'
import { agents as agentsApp } from '../agents.js'
import { newName } from '../testing/new-name.js'
import { createTask, listTasks } from './executions.js'
import { forgetHealth, healthSummary, listHealth, storeHealth } from './health.js'
import { agentById, changeAgent, createAgent, findAgent, heartbeat, listAgents, requireAgent } from './instances.js'
import { cancellationsOf, cancelTask, changeTask, claimTask, queueState, retryDelayMs } from './queue.js'
import type { AgentInstance, AgentType, Db, Execution, TaskPriority } from './rows.js'
import { silenceAgents } from './silence.js'

let database: AppDatabase
beforeAll(async () => {
  database = await openAppDatabase(agentsApp)
})
afterAll(() => database?.drop())
beforeEach(async () => {
  await database.owner.query('delete from agent_executions')
  await database.owner.query('delete from agent_instances')
})

const backoff = { baseMs: 1_000, maxMs: 60_000 }
const service: Caller = { role: 'service_role', userId: null, isAdmin: false }
const inTransaction = <T>(fn: (db: Db) => Promise<T>): Promise<T> => database.pool.transaction(fn)

const idleAgent = async (type: AgentType, now = new Date()): Promise<AgentInstance> => {
  const agent_id = newName('agent')
  const nothing = { configuration: {}, resource_limits: {}, performance_thresholds: {} }
  await createAgent(database.pool, { agent_id, agent_type: type, ...nothing }, now)
  return heartbeat(database.pool, agent_id, now)
}

const task = (type: AgentType, more: { priority?: TaskPriority; max_retries?: number; agent_instance_id?: string } = {}) =>
  createTask(database.pool, {
    agent_type: type,
    task_type: 't',
    input_data: {},
    priority: 'normal',
    max_retries: 3,
    user_id: null,
    ...more,
  })

const claim = (agentId: string, now = new Date()) => inTransaction((db) => claimTask(db, agentId, now))
const change = (id: string, status: Execution['status'], now = new Date(), more: object = {}) =>
  inTransaction((db) => changeTask(db, id, { status, retryable: true, ...more }, { now, backoff }))
const silence = (now: Date) => inTransaction((db) => silenceAgents(db, now, backoff))

describe('the queue', () => {
  it('S5.4: gives each task once, however many ask at a time, the critical before the low, and only to agents of its type', async () => {
    const type = 'code_reviewer'
    const priorities: readonly TaskPriority[] = ['low', 'critical', 'normal', 'urgent', 'high']
    for (let n = 0; n < 30; n++) await task(type, { priority: priorities[n % 5]! })
    const stranger = await idleAgent('script_generator')
    expect(await claim(stranger.agent_id)).toBeNull()
    const workers = await Promise.all([1, 2, 3, 4].map(() => idleAgent(type)))
    const order: Execution[] = []
    await Promise.all(
      workers.map(async ({ agent_id }) => {
        for (let next = await claim(agent_id); next; next = await claim(agent_id)) {
          order.push(next)
          await change(next.task_id, 'completed')
        }
      }),
    )
    expect(new Set(order.map(({ task_id }) => task_id)).size).toBe(30)
    const places = order.map(({ priority }) => ['critical', 'urgent', 'high', 'normal', 'low'].indexOf(priority))
    // Four at a time: what is more urgent and comes later was with one of the other three.
    const overtaken = places.map((place, index) => places.slice(index + 1).filter((later) => later < place).length)
    expect(Math.max(...overtaken)).toBeLessThanOrEqual(3)
    const totals = await Promise.all(workers.map(({ agent_id }) => findAgent(database.pool, agent_id)))
    expect(totals.reduce((sum, agent) => sum + agent!.total_tasks_completed, 0)).toBe(30)
    expect(totals.every((agent) => agent!.status === 'idle' && agent!.current_task_id === null)).toBe(true)
  })

  it('S5.4: twenty-five agents that ask at once for twenty tasks take each once, and five nothing', async () => {
    const type = 'terrain_generator'
    const workers = await Promise.all(Array.from({ length: 25 }, () => idleAgent(type)))
    const ids = new Set((await Promise.all(Array.from({ length: 20 }, () => task(type)))).map(({ task_id }) => task_id))
    // Whoever finds the others' tasks locked looks again, as a worker does.
    const taken: (Execution | null)[] = []
    for (let waiting = workers; waiting.length > 0 && taken.filter(Boolean).length < 20; ) {
      const found = await Promise.all(waiting.map(({ agent_id }) => claim(agent_id)))
      taken.push(...found.filter(Boolean))
      waiting = waiting.filter((_worker, n) => found[n] === null)
    }
    expect(taken).toHaveLength(20)
    expect(new Set(taken.map((each) => each!.task_id))).toEqual(ids)
    expect(new Set(taken.map((each) => each!.agent_instance_id)).size).toBe(20)
    expect(
      (await Promise.all(workers.map(({ agent_id }) => findAgent(database.pool, agent_id)))).filter(
        (agent) => agent!.status === 'idle',
      ),
    ).toHaveLength(5)
  })

  it('finds the next task by the index of the queue, however much waits', async () => {
    const agent = await idleAgent('code_reviewer')
    await database.owner.query(
      `insert into agent_executions (task_id, agent_type, task_type, status, next_retry_at)
       select 'long-' || n, 'code_reviewer', 't', case when n % 50 = 0 then 'retrying' else 'queued' end::task_status, now()
         from generate_series(1, 2000) n`,
    )
    await database.owner.query('analyze agent_executions')
    const plans: string[] = []
    await inTransaction(async (db) => {
      const explained = async (sql: string, values: readonly unknown[] = []) => {
        const { rows } = await db.query<Record<string, string>>(`explain ${sql}`, values)
        plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'))
      }
      const watched = {
        query: async (sql: string, values?: readonly unknown[]) => {
          await explained(sql, values)
          return db.query(sql, values)
        },
      } as Db
      expect(await claimTask(watched, agent.agent_id, new Date())).not.toBeNull()
    })
    expect(plans.at(-1)).toContain('Index Scan using idx_agent_executions_queue')
    expect(plans.at(-1)).not.toContain('Sort')
  })

  it('C63: a task that runs makes its agent processing; an agent has one at a time; its end counts once', async () => {
    const agent = await idleAgent('quiz_generator')
    const { task_id } = await task('quiz_generator')
    const running = await claim(agent.agent_id)
    expect(running).toMatchObject({ task_id, status: 'running', previous_status: 'queued', agent_instance_id: agent.id })
    expect(await findAgent(database.pool, agent.agent_id)).toMatchObject({ status: 'processing', current_task_id: task_id })
    await expect(claim(agent.agent_id)).rejects.toMatchObject({ code: 'AGENTS_NOT_READY' })
    const done = await change(task_id, 'completed', new Date(), { output_data: { a: 1 }, quality_score: 0.9 })
    expect(done.execution_time_seconds).toBeGreaterThan(0)
    expect(done).toMatchObject({ status: 'completed', quality_score: 0.9, output_data: { a: 1 } })
    for (const status of ['running', 'completed', 'failed', 'queued'] as const)
      await expect(change(task_id, status)).rejects.toMatchObject({ code: 'AGENTS_ILLEGAL_MOVE' })
    expect(await findAgent(database.pool, agent.agent_id)).toMatchObject({
      status: 'idle',
      total_tasks_completed: 1,
      total_tasks_failed: 0,
    })
  })

  it('S5.3: what fails comes back after twice as long each time, until its attempts are used up, and counts as failed once', async () => {
    const agent = await idleAgent('roblox_asset')
    const { task_id } = await task('roblox_asset', { max_retries: 2 })
    let now = new Date()
    for (const attempt of [0, 1]) {
      await claim(agent.agent_id, now)
      const failed = await change(task_id, 'failed', now, { error_message: 'no luck' })
      expect(failed).toMatchObject({
        status: 'retrying',
        retry_count: attempt + 1,
        agent_instance_id: null,
        error_message: 'no luck',
      })
      expect(Date.parse(failed.next_retry_at!) - now.getTime()).toBe(1000 * 2 ** attempt)
      expect(await claim(agent.agent_id, new Date(now.getTime() + 1000 * 2 ** attempt - 1))).toBeNull()
      now = new Date(now.getTime() + 1000 * 2 ** attempt)
    }
    await claim(agent.agent_id, now)
    expect(await change(task_id, 'failed', now)).toMatchObject({ status: 'failed', retry_count: 2 })
    expect(await findAgent(database.pool, agent.agent_id)).toMatchObject({ total_tasks_failed: 1, status: 'idle' })
    expect(retryDelayMs(60, backoff)).toBe(60_000)
  })

  it('cancels at once what waits, and asks whoever runs it to leave off', async () => {
    const agent = await idleAgent('terrain_generator')
    const waiting = await task('terrain_generator')
    expect(await inTransaction((db) => cancelTask(db, waiting.task_id))).toMatchObject({ status: 'cancelled' })
    const { task_id } = await task('terrain_generator')
    await claim(agent.agent_id)
    expect(await inTransaction((db) => cancelTask(db, task_id))).toMatchObject({ status: 'running', cancel_requested: true })
    expect(await cancellationsOf(database.pool, agent.id)).toEqual([task_id])
    expect(await change(task_id, 'cancelled')).toMatchObject({ status: 'cancelled' })
    expect(await findAgent(database.pool, agent.agent_id)).toMatchObject({ status: 'idle', total_tasks_failed: 0 })
    await expect(inTransaction((db) => cancelTask(db, task_id))).rejects.toMatchObject({ code: 'AGENTS_ILLEGAL_MOVE' })
  })

  it('what nobody wants any more is not tried again, when it fails or when whoever runs it falls silent', async () => {
    const agent = await idleAgent('terrain_generator')
    const cancelled = async (): Promise<string> => {
      const { task_id } = await task('terrain_generator')
      await claim(agent.agent_id)
      await inTransaction((db) => cancelTask(db, task_id))
      return task_id
    }
    expect(await change(await cancelled(), 'failed')).toMatchObject({ status: 'cancelled', retry_count: 0 })
    const id = await cancelled()
    const found = await silence(new Date(Date.now() + 100_000))
    expect(found.tasks).toMatchObject([{ task_id: id, status: 'cancelled', retry_count: 0 }])
  })

  it('what comes late from an agent whose task is with another changes nothing of it', async () => {
    const start = new Date()
    const later = new Date(start.getTime() + 100_000)
    const [late, other] = [await idleAgent('code_reviewer', start), await idleAgent('code_reviewer', later)]
    const { task_id } = await task('code_reviewer')
    await claim(late.agent_id, start)
    await silence(later)
    const end = (status: 'completed' | 'failed', { agent_id }: AgentInstance) => change(task_id, status, later, { agent_id })
    await expect(end('completed', late)).rejects.toMatchObject({ code: 'AGENTS_ILLEGAL_MOVE' })
    await claim(other.agent_id, new Date(later.getTime() + 10_000))
    for (const status of ['completed', 'failed'] as const)
      await expect(end(status, late)).rejects.toMatchObject({ code: 'AGENTS_ILLEGAL_MOVE' })
    expect(await agentById(database.pool, other.id)).toMatchObject({ status: 'processing', current_task_id: task_id })
    expect(await end('completed', other)).toMatchObject({ status: 'completed', agent_instance_id: other.id })
  })

  it('what an agent ran that somebody put offline, or took away, goes back into the queue', async () => {
    const [one, other] = [await idleAgent('roblox_asset'), await idleAgent('roblox_asset')]
    const ids = await Promise.all(
      [one, other].map(async ({ id }) => (await task('roblox_asset', { agent_instance_id: id })).task_id),
    )
    for (const { agent_id } of [one, other]) await claim(agent_id)
    await changeAgent(database.pool, one.agent_id, { status: 'offline' })
    await database.owner.query('delete from agent_instances where id = $1', [other.id])
    const { agents, tasks } = await silence(new Date())
    expect(agents).toEqual([])
    expect(new Set(tasks.map(({ task_id }) => task_id))).toEqual(new Set(ids))
    expect(tasks.every(({ status, agent_instance_id }) => status === 'retrying' && agent_instance_id === null)).toBe(true)
    expect(await agentById(database.pool, one.id)).toMatchObject({ status: 'offline', current_task_id: null })
  })

  it('a task that is given to one agent waits for that one', async () => {
    const [one, other] = [await idleAgent('roblox_testing'), await idleAgent('roblox_testing')]
    const { task_id } = await task('roblox_testing', { agent_instance_id: one.id })
    expect(await claim(other.agent_id)).toBeNull()
    expect((await claim(one.agent_id))?.task_id).toBe(task_id)
    await change(task_id, 'completed')
    expect((await queueState(database.pool, new Date())).by_status['running'] ?? 0).toBe(0)
  })

  it('S5.5: whoever is silent for 90 s is offline, and another does what it ran; it begins anew when it is heard of', async () => {
    const start = Date.now()
    const at = (seconds: number): Date => new Date(start + seconds * 1000)
    const [silent, other] = [await idleAgent('roblox_analytics', at(0)), await idleAgent('roblox_analytics', at(0))]
    const { task_id } = await task('roblox_analytics')
    await claim(silent.agent_id, at(1))
    await heartbeat(database.pool, other.agent_id, at(60))
    expect((await silence(at(89))).agents).toEqual([])
    const found = await silence(at(91))
    expect(found.agents.map(({ agent_id }) => agent_id)).toContain(silent.agent_id)
    expect(found.agents.map(({ agent_id }) => agent_id)).not.toContain(other.agent_id)
    expect(found.tasks).toMatchObject([{ task_id, status: 'retrying', agent_instance_id: null, retry_count: 1 }])
    expect(await claim(other.agent_id, at(93))).toMatchObject({ task_id, agent_instance_id: other.id })
    expect(await silence(at(93))).toEqual({ agents: [], tasks: [] })
    // What it says of a task that is another's now changes nothing that it may not.
    expect(await findAgent(database.pool, silent.agent_id)).toMatchObject({
      status: 'offline',
      status_reason: 'no heartbeat',
      current_task_id: null,
    })
    expect((await heartbeat(database.pool, silent.agent_id, at(120))).status).toBe('initializing')
    expect((await heartbeat(database.pool, silent.agent_id, at(121))).status).toBe('idle')
    await change(task_id, 'completed')
  })

  it('S5.5: a silent agent and the end of its task at the same time leave one of the two outcomes, and nobody waits for good', async () => {
    for (let round = 0; round < 10; round++) {
      const start = Date.now()
      const agent = await idleAgent('content_generator', new Date(start))
      const { task_id } = await task('content_generator', { max_retries: 1 })
      await claim(agent.agent_id, new Date(start))
      const [ended] = await Promise.allSettled([change(task_id, 'completed'), silence(new Date(start + 100_000))])
      await silence(new Date(start + 100_000))
      const after = await agentById(database.pool, agent.id)
      expect([after!.status, after!.current_task_id]).toEqual(['offline', null])
      const { executions } = await listTasks(database.pool, { limit: 1 }, service)
      expect(executions[0]!.status).toBe(ended.status === 'fulfilled' ? 'completed' : 'retrying')
      await database.pool.query('delete from agent_executions where task_id = $1', [task_id])
    }
  })

  it('C66: an agent that nobody knows has no tasks, not everybody’s', async () => {
    expect((await listTasks(database.pool, { agent_id: 'nobody', limit: 10 }, service)).executions).toEqual([])
  })

  it('C63: an agent goes only where it may', async () => {
    const agent = await idleAgent('quiz_generator')
    await changeAgent(database.pool, agent.agent_id, { status: 'maintenance' })
    await expect(changeAgent(database.pool, agent.agent_id, { status: 'processing' })).rejects.toMatchObject({
      code: 'AGENTS_ILLEGAL_MOVE',
    })
    const version = (await findAgent(database.pool, agent.agent_id))!.version
    await heartbeat(database.pool, agent.agent_id, new Date())
    expect((await findAgent(database.pool, agent.agent_id))!.version).toBe(version)
  })
})

describe('agents, and how the whole is', () => {
  it('R100: agents come in pages that hold each once while others come, the newest first, of a type and a state alone where that is asked for', async () => {
    const made: string[] = []
    for (let n = 0; n < 5; n++) made.push((await idleAgent(n === 4 ? 'quiz_generator' : 'script_generator')).agent_id)
    await changeAgent(database.pool, made[0]!, { status: 'maintenance', status_reason: 'a new model' })
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await listAgents(database.pool, { limit: 2, cursor })
      expect(page.agents.length).toBeLessThanOrEqual(2)
      found.push(...page.agents.map(({ agent_id }) => agent_id))
      await idleAgent('roblox_asset')
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    expect(found).toHaveLength(5)
    expect(new Set(found)).toEqual(new Set(made))
    const some = await listAgents(database.pool, { agent_type: 'script_generator', status: 'idle', limit: 10 })
    expect(new Set(some.agents.map(({ agent_id }) => agent_id))).toEqual(new Set(made.slice(1, 4)))
    expect(some.next).toBeNull()
  })

  it('whom nobody knows has no heartbeat, no change, no task and no page', async () => {
    const unknown = { code: 'AGENTS_NOT_FOUND' }
    await expect(requireAgent(database.pool, 'nobody')).rejects.toMatchObject(unknown)
    await expect(heartbeat(database.pool, 'nobody', new Date())).rejects.toMatchObject(unknown)
    await expect(changeAgent(database.pool, 'nobody', { status: 'idle' })).rejects.toMatchObject(unknown)
    await expect(claim('nobody')).rejects.toMatchObject(unknown)
    await expect(change('nothing', 'completed')).rejects.toMatchObject(unknown)
  })

  it('what waits is counted by type and priority, with how long it has', async () => {
    for (const priority of ['low', 'critical', 'low'] as const) await task('quiz_generator', { priority })
    await task('code_reviewer')
    const { by_status, waiting } = await queueState(database.pool, new Date(Date.now() + 60_000))
    expect(Object.values(by_status).reduce((sum, n) => sum + n, 0)).toBe(4)
    const tasks = waiting.map(({ agent_type, priority, tasks }) => `${agent_type} ${priority} ${tasks}`)
    expect(tasks[0]).toBe('quiz_generator critical 1')
    expect(tasks.at(-1)).toBe('quiz_generator low 2')
    expect(waiting.every(({ oldest_seconds }) => oldest_seconds > 30)).toBe(true)
  })

  it('R26: health is measured, shown for some hours, summed up, and forgotten after its days', async () => {
    await database.owner.query('delete from system_health')
    const agent = await idleAgent('quiz_generator')
    await task('quiz_generator')
    const taken = await claim(agent.agent_id)
    await change(taken!.task_id, 'completed')
    const now = new Date()
    const measured = { responseTimeMs: 12, realtimeLagMs: null, poolUtilisation: 0.5, activeAlerts: 2 }
    const old = await storeHealth(database.pool, new Date(now.getTime() - 40 * 86_400_000), { ...measured, degraded: [] })
    const whole = await storeHealth(database.pool, now, { ...measured, degraded: [] })
    expect(whole).toMatchObject({ status: 'healthy', total_agents: 1, idle_agents: 1, completed_tasks: 1, success_rate: 1 })
    const ill = await storeHealth(database.pool, now, { ...measured, degraded: ['the second database is away'] })
    expect(ill).toMatchObject({ status: 'degraded', details: { degraded: ['the second database is away'] } })
    // Both are of one moment; a page ends between them.
    const first = await listHealth(database.pool, { hours: 24, limit: 1 }, now)
    const second = await listHealth(database.pool, { hours: 24, limit: 1, cursor: first.next! }, now)
    expect([...first.health, ...second.health].map(({ id }) => id).sort()).toEqual([whole.id, ill.id].sort())
    expect(second.next).toBeNull()
    expect(await healthSummary(database.pool)).toMatchObject({ total_agents: 1, success_rate: 1 })
    expect(await forgetHealth(database.pool, now, 30)).toBe(1)
    const { rows } = await database.owner.query('select id from system_health where id = $1', [old.id])
    expect(rows).toEqual([])
  })
})
