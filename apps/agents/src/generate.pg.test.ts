import { createNamedPool, type Pool } from 'tidemark'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AppDatabase, openAppDatabase } from '../../../packages/tidemark/src/testing/app/app-database.js'
import { createRandom } from '../../../packages/tidemark/src/testing/random.js'
import { agents as agentsApp } from './agents.js'
import { generate, main } from './generate.js'
import { makeAgents } from './make-agents.js'
import { defaultBackoff } from './repository/queue.js'
import { silenceAgents } from './repository/silence.js'

const until = new Date('2026-11-22T00:00:00Z')
let database: AppDatabase
let owner: Pool
beforeAll(async () => {
  database = await openAppDatabase(agentsApp)
  owner = createNamedPool('migration', { url: database.urls.migrator, pools: { migration: { minConnections: 0 } } })
})
afterAll(async () => {
  await owner?.stop()
  await database?.drop()
})

const count = async (from: string): Promise<number> =>
  Number((await owner.query<{ n: string }>(`select count(*) as n from ${from}`)).rows[0]!.n)

describe('the agents that are made up', () => {
  it('are the same for the same seed, others for another, and flawed', () => {
    const make = (seed: number) => makeAgents(createRandom(seed), { agents: 12, tasks: 300, days: 14, untilMs: until.getTime() })
    const [one, again, other] = [make(1), make(1), make(2)]
    expect(JSON.stringify(one)).toBe(JSON.stringify(again))
    expect(JSON.stringify(one)).not.toBe(JSON.stringify(other))
    for (const [flaw, found] of Object.entries(one.flaws)) expect([flaw, found > 0]).toEqual([flaw, true])
    expect(new Set(one.tasks.map(({ input_data }) => (input_data as { language: string }).language)).size).toBe(3)
  })

  it('fill the tables past their guards, with what is wrong as it is counted, and the jobs find who fell silent', async () => {
    const { counts, flaws } = await owner.transaction((db) => generate(db, { seed: 7, tasks: 300, until }))
    expect(await count('agent_instances')).toBe(counts.agents)
    expect(await count('agent_executions')).toBe(counts.tasks)
    expect(await count('agent_metrics')).toBe(counts.metrics)
    expect(await count('audit_log')).toBe(0)
    const miscounted = `agent_instances a where a.total_tasks_completed <>
      (select count(*) from agent_executions e where e.agent_instance_id = a.id and e.status = 'completed')`
    expect(await count(miscounted)).toBe(flaws.miscounted)
    expect(await count("agent_executions where status = 'queued'")).toBe(flaws.ofNobody)
    expect(await count("agent_executions where agent_instance_id is null and status <> 'queued'")).toBe(flaws.orphaned)
    expect(await count("agent_executions where coalesce(trim(input_data ->> 'topic'), '') = ''")).toBe(flaws.withoutTopic)
    expect(await count("agent_executions where status = 'completed' and quality_score is null")).toBe(flaws.unrated)
    const found = await database.pool.transaction((db) => silenceAgents(db, until, defaultBackoff))
    expect([found.agents.length, found.tasks.length]).toEqual([flaws.silent, flaws.silent])
  })

  it('are asked for by a command line, which says what it takes', async () => {
    expect(await main(['--database', database.urls.migrator, '--agents', 'none'])).toBe(2)
    // They are there.
    expect(await main(['--database', database.urls.migrator, '--seed', '7', '--tasks', '10'])).toBe(1)
  })
})
