import { expect, test } from 'vitest'
import { silentLogger } from '../../observability/observability.js'
import { openConnections } from '../../realtime/connections/open-connections.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { openRealtimeServer } from '../testing/use-realtime-server.js'

const cleanups = useCleanups()

test('a connection of supabase-js is listed with whom its channels know, without its token, and closed it comes back to them', async () => {
  const server = await openRealtimeServer(cleanups)
  const connections = openConnections({ hub: server.hub, topics: () => undefined, log: silentLogger })
  const token = await server.token({ role: 'authenticated', sub: 'ann' })
  const made = server.client()
  await made.realtime.setAuth(token)
  const channel = made.channel('room:1')
  const statuses: string[] = []
  channel.subscribe((status) => void statuses.push(status))
  await until(() => statuses.at(-1) === 'SUBSCRIBED')
  await server.raw()

  const page = await connections.list({ limit: 10, user: 'ann' })
  expect(page).toMatchObject({ next: null, silent: 0, nodes: [{ connections: 2 }] })
  const [ann, ...others] = page.connections
  expect(others).toEqual([])
  expect(ann).toMatchObject({ protocol: 'supabase', user: 'ann', role: 'authenticated', channels: ['room:1'], channelCount: 1 })
  expect(JSON.stringify(page)).not.toContain(token)
  expect((await connections.list({ limit: 10, channel: 'room:1' })).connections.map(({ id }) => id)).toEqual([ann!.id])
  const [, anonymous] = (await connections.list({ limit: 10 })).connections
  expect(anonymous).toMatchObject({ user: null, role: 'anon', channels: [] })

  const ended = await connections.end(ann!.id)
  expect(ended).toMatchObject({ id: ann!.id, code: 1008, reason: 'closed by an operator' })
  expect(ended?.next).toContain('joins its channels again')
  const back = await until(async () => (await connections.list({ limit: 10, channel: 'room:1' })).connections[0])
  expect(back!.id).not.toBe(ann!.id)
  expect(await connections.end(ann!.id)).toBeUndefined()
})

test('who closes a connection tells its client why', async () => {
  const server = await openRealtimeServer(cleanups)
  const connections = openConnections({ hub: server.hub, topics: () => undefined, log: silentLogger })
  const client = await server.raw()
  const [{ id } = { id: '' }] = (await connections.list({ limit: 1 })).connections
  await connections.end(id)
  expect(await client.closed()).toEqual({ code: 1008, reason: 'closed by an operator' })
})
