import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PusherEndpoint, startPusherEndpoint } from '../realtime/relay/testing/pusher-endpoint.js'
import { useProject } from '../testing/use-project.js'
import { until } from '../time/until.js'

describe('R59, R60: relays of a server', () => {
  const project = useProject()
  let endpoint: PusherEndpoint
  let client: pg.Client
  let url: string

  beforeAll(async () => {
    endpoint = await startPusherEndpoint()
    const rules = [{ table: 'public.things', channel: 'things', event: 'changed', data: ['id'] }]
    const relays = {
      kept: { to: { pusher: endpoint.url }, durable: true, rules },
      quick: { to: { pusher: endpoint.url }, rules },
    }
    relays.quick.rules = [{ ...rules[0]!, channel: 'quick' }]
    await writeFile(join(project.dir, 'tidemark.config.json'), JSON.stringify({ realtime: { relays } }))
    url = await project.serve()
    const { url: database } = await project.run<{ url: string }>('db', 'url', '--role', 'migrator')
    client = new pg.Client({ connectionString: database })
    await client.connect()
    await client.query('create table things (id int primary key); alter table things enable row level security')
  })
  afterAll(async () => {
    await client?.end()
    await endpoint?.stop()
  })

  const toldOn = (channel: string) => endpoint.told.filter((told) => told.channel === channel && told.name === 'changed')

  it('forward what is written by plain SQL, say on /health how they are, and end with the server', async () => {
    let id = 0
    // The table is new: until the feed carries it nothing is told.
    await until(
      async () => {
        id += 1
        await client.query('insert into things values ($1)', [id])
        return toldOn('things').length > 0 && toldOn('quick').length > 0
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    )
    await until(() => toldOn('things').at(-1)?.data['id'] === id && toldOn('quick').at(-1)?.data['id'] === id)
    for (const channel of ['things', 'quick']) {
      const ids = toldOn(channel).map(({ data }) => Number(data['id']))
      expect(ids).toEqual(Array.from({ length: ids.length }, (_, i) => id - ids.length + 1 + i))
    }
    const report = (await (await fetch(`${url}/health`)).json()) as { components: Record<string, { status: string }> }
    expect([report.components['relay kept']?.status, report.components['relay quick']?.status]).toEqual(['up', 'up'])
    endpoint.answer(503)
    for (let n = 0; n < 5; n++) await client.query('insert into things values ($1)', [++id])
    await until(
      async () => {
        const { degraded } = (await (await fetch(`${url}/health`)).json()) as { degraded: readonly string[] }
        return degraded.includes('relay kept')
      },
      { timeoutMs: 60_000, intervalMs: 200 },
    )
    expect(endpoint.refused.every((reason) => reason === '503')).toBe(true)
  })
})
