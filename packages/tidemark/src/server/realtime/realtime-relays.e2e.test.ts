import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createClient } from '@supabase/supabase-js'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { heard } from '../../realtime/protocols/pusher/testing/heard.js'
import { PusherJs } from '../../realtime/protocols/pusher/testing/pusher-node.js'
import { createRelay } from '../../realtime/relay/create-relay.js'
import { createPusherTarget } from '../../realtime/relay/pusher-target.js'
import type { RelayMessage, RelayTarget } from '../../realtime/relay/relay.js'
import { createSupabaseTarget } from '../../realtime/relay/supabase-target.js'
import { type PusherEndpoint, startPusherEndpoint } from '../../realtime/relay/testing/pusher-endpoint.js'
import { useProject } from '../../testing/project/use-project.js'
import { until } from '../../time/until.js'
import type { ProjectStatus } from '../operations/status.js'

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
    url = await project.serve(['dev'])
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

  /** Twenty messages in one order, one of them twice. */
  const messages: readonly RelayMessage[] = [...Array(20).keys(), 7].map((n) => ({
    channel: 'room',
    event: 'changed',
    data: { n },
    id: `change ${n}`,
  }))

  const relayTo = async (target: RelayTarget): Promise<void> => {
    const relay = createRelay({ target, rules: [] })
    relay.start()
    await relay.publish(messages)
    await until(async () => (await relay.getStatus()).sent === 20, { timeoutMs: 20_000 })
    expect(await relay.getStatus()).toMatchObject({ failures: 0, refused: 0, repeated: 1, lastError: null })
    await relay.stop()
  }

  const expected = messages.slice(0, 20).map(({ data, id }) => ({ ...data, event_id: id }))

  it('reach pusher-js through this server in place of Pusher', async () => {
    const { pusher } = await project.run<ProjectStatus>('status', '--show-keys')
    const { host } = new URL(url)
    const listener = new PusherJs(pusher!.key, {
      cluster: 'none',
      wsHost: '127.0.0.1',
      wsPort: Number(new URL(url).port),
      forceTLS: false,
      enabledTransports: ['ws'],
    })
    try {
      await heard(listener.connection, 'connected')
      const channel = listener.subscribe('room')
      const told: unknown[] = []
      channel.bind('changed', (data: unknown) => void told.push(data))
      await heard(channel, 'pusher:subscription_succeeded')
      await relayTo(createPusherTarget({ url: `http://${pusher!.key}:${pusher!.secret}@${host}/apps/${pusher!.appId}` }))
      await until(() => told.length === 20)
      expect(told).toEqual(expected)
    } finally {
      listener.disconnect()
    }
  })

  it('R55: reach supabase-js through Broadcast', async () => {
    const { keys } = await project.run<ProjectStatus>('status', '--show-keys')
    const listener = createClient(url, keys.anon, {
      auth: { persistSession: false, autoRefreshToken: false },
      realtime: { transport: WebSocket as never },
    })
    try {
      const told: unknown[] = []
      const channel = listener.channel('room').on('broadcast', { event: 'changed' }, ({ payload }) => void told.push(payload))
      let state = ''
      channel.subscribe((status) => {
        state = status
      })
      await until(() => state === 'SUBSCRIBED')
      await relayTo(createSupabaseTarget({ url, key: keys.service, private: false }))
      await until(() => told.length === 20)
      expect(told).toEqual(expected)
    } finally {
      await listener.removeAllChannels()
    }
  })
})
