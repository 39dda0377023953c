import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../../packages/tidemark/src/testing/app/app-database.js'
import { agents as agentsApp } from '../agents.js'
import { newName } from '../testing/new-name.js'
import { createAgent } from './instances.js'
import { collectMetrics, listMetrics, storeMetric, windowOf } from './metrics.js'
import type { AgentInstance } from './rows.js'

let database: AppDatabase
let agent: AgentInstance
beforeAll(async () => {
  database = await openAppDatabase(agentsApp)
  agent = await newAgent()
})
afterAll(() => database?.drop())

const newAgent = () =>
  createAgent(
    database.pool,
    {
      agent_id: newName('agent'),
      agent_type: 'quiz_generator',
      configuration: {},
      resource_limits: {},
      performance_thresholds: {},
    },
    new Date(),
  )

const metric = (start: string, minutes = 5) => ({
  period_start: start,
  period_end: new Date(Date.parse(start) + minutes * 60_000).toISOString(),
  tasks_completed: 3,
  tasks_failed: 1,
  average_execution_time: 2,
  average_quality_score: 0.5,
})

describe('metrics', () => {
  it('S5.6: the same window twice is one row, whose rate is a fraction (C64)', async () => {
    const first = await storeMetric(database.pool, agent, metric('2026-11-21T02:00:00.000Z'))
    expect(first).toMatchObject({ success_rate: 0.75, version: 1 })
    const second = await storeMetric(database.pool, agent, { ...metric('2026-11-21T02:00:00.000Z'), tasks_failed: 0 })
    expect(second).toMatchObject({ id: first.id, success_rate: 1, version: 2 })
  })

  it('S5.6, C65: the last 24 hours at 03:00 begin at 03:00 of the day before; 300 hours as well', async () => {
    const other = await newAgent()
    for (const start of ['2026-11-20T02:50:00Z', '2026-11-20T02:57:00Z', '2026-11-20T03:00:00Z', '2026-11-21T02:55:00Z'])
      await storeMetric(database.pool, other, metric(start))
    const now = new Date('2026-11-21T03:00:00Z')
    // In pages of two.
    const starts = async (hours: number, agent_id = other.agent_id, cursor?: string): Promise<readonly string[]> => {
      const { metrics, next } = await listMetrics(database.pool, { agent_id, hours, limit: 2, cursor }, now)
      const some = metrics.map(({ period_start }) => period_start.slice(5, 16))
      return next === null ? some : [...some, ...(await starts(hours, agent_id, next))]
    }
    expect(await starts(24)).toEqual(['11-21T02:55', '11-20T03:00', '11-20T02:57'])
    expect(await starts(300)).toHaveLength(4)
    expect(await starts(24, 'nobody')).toEqual([])
  })

  it('collects per agent and window what has ended in it, writes it once, and again only where there is news', async () => {
    const worker = await newAgent()
    const add = (status: string, quality: number | null) =>
      database.pool.query(
        `insert into agent_executions (task_id, agent_instance_id, agent_type, task_type, status, completed_at, execution_time_seconds, quality_score)
         values (gen_random_uuid()::text, $1, 'quiz_generator', 't', $2, '2026-11-21T10:07:00Z', 4, $3)`,
        [worker.id, status, quality],
      )
    await add('completed', 0.5)
    await add('completed', 1)
    await add('failed', null)
    const now = new Date('2026-11-21T10:11:00Z')
    expect(await collectMetrics(database.pool, now)).toMatchObject([
      {
        agent_instance_id: worker.id,
        period_start: '2026-11-21T10:05:00.000Z',
        period_end: '2026-11-21T10:10:00.000Z',
        tasks_completed: 2,
        tasks_failed: 1,
        average_execution_time: 4,
        average_quality_score: 0.75,
      },
    ])
    expect(await collectMetrics(database.pool, now)).toEqual([])
    await add('completed', 0)
    expect(await collectMetrics(database.pool, now)).toMatchObject([{ tasks_completed: 3, success_rate: 0.75, version: 2 }])
    // Half an hour later, by a server that has not run meanwhile.
    await add('failed', null)
    const later = new Date('2026-11-21T10:41:00Z')
    expect(await collectMetrics(database.pool, later)).toEqual([])
    expect(await collectMetrics(database.pool, later, now)).toEqual([])
    const found = await collectMetrics(database.pool, later, new Date('2026-11-21T10:07:00Z'))
    expect(found).toMatchObject([{ period_start: '2026-11-21T10:05:00.000Z', tasks_completed: 3, tasks_failed: 2, version: 3 }])
    expect(windowOf(new Date('2026-11-21T10:10:00Z'))[0].toISOString()).toBe('2026-11-21T10:10:00.000Z')
  })

  it('R26, C68: months get partitions of their own, closed to callers, and go when they are old', async () => {
    const maintain = (at: string) =>
      database.pool.query<{ made: string[]; dropped: string[] }>("select * from agent_metrics_maintain('90 days', $1)", [at])
    const { rows } = await maintain('2027-01-15T12:00:00Z')
    expect(rows[0]?.made).toEqual(['agent_metrics_202701', 'agent_metrics_202702', 'agent_metrics_202703'])
    await storeMetric(database.pool, agent, metric('2027-01-31T23:55:00Z'))
    const held = await database.owner.query<{ n: string }>('select count(*) as n from public.agent_metrics_202701')
    expect(Number(held.rows[0]?.n)).toBe(1)
    for (const role of ['anon', 'authenticated', 'service_role'])
      await expect(database.as(role, {}, 'select from public.agent_metrics_202701')).rejects.toThrow('permission denied')
    expect((await maintain('2027-05-15T12:00:00Z')).rows[0]?.dropped).toEqual(['agent_metrics_202701'])
    // The windows of 2026 were in the default partition.
    expect((await listMetrics(database.pool, { hours: 8784, limit: 10 }, new Date('2027-05-15T12:00:00Z'))).metrics).toEqual([])
  })
})
