import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../observability/observability.js'
import { createRedis } from '../../redis/create-redis.js'
import { sharedRedisUrl } from '../../testing/redis/redis-setup.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { connected, heard, subscribed } from '../protocols/pusher/testing/heard.js'
import { openPusherNode } from '../protocols/pusher/testing/pusher-node.js'
import { openConnections } from './open-connections.js'

const url = sharedRedisUrl()
const cleanups = useCleanups()

const openNode = async (prefix: string, patienceMs = 10_000) => {
  const redis = await createRedis({ url: url! })
  cleanups.push(() => redis.stop())
  const node = await openPusherNode(cleanups, { redis, prefix })
  const connections = openConnections({ hub: node.hub, topics: () => node.topics, log: silentLogger, patienceMs })
  connections.attach()
  cleanups.push(() => connections.stop())
  return { ...node, connections }
}

const openTwo = async () => {
  const prefix = randomUUID()
  const [one, two] = [await openNode(prefix), await openNode(prefix)]
  await until(() => one.topics.reach().others === 1 && two.topics.reach().others === 1, { timeoutMs: 10_000 })
  return [one, two] as const
}

const everything = { limit: 100 } as const

describe.skipIf(url === undefined)('the connections of two nodes', () => {
  test('are one list, whichever node is asked, in pages, and by what is wanted of them', async () => {
    const [one, two] = await openTwo()
    const [here, there] = [await connected(one.client()), await connected(two.client())]
    await connected(two.client())
    await subscribed(here, 'presence-room')
    await subscribed(there, 'lobby')
    const all = await one.connections.list(everything)
    expect(all.connections).toHaveLength(3)
    expect(all).toMatchObject({ next: null, silent: 0 })
    expect(all.nodes.map(({ connections }) => connections).sort()).toEqual([1, 2])
    expect((await two.connections.list(everything)).connections.map(({ id }) => id)).toEqual(all.connections.map(({ id }) => id))

    const paged: string[] = []
    for (let after: string | undefined; ; ) {
      const { connections, next } = await two.connections.list({ limit: 1, after })
      expect(connections.length).toBeLessThanOrEqual(1)
      paged.push(...connections.map(({ id }) => id))
      if (next === null) break
      after = next
    }
    expect(paged).toEqual(all.connections.map(({ id }) => id))

    const [member] = (await two.connections.list({ ...everything, channel: 'presence-room' })).connections
    expect(member).toMatchObject({ protocol: 'pusher', user: here.connection.socket_id, role: null, channels: ['presence-room'] })
    expect((await one.connections.list({ ...everything, user: here.connection.socket_id })).connections).toHaveLength(1)
    const other = all.nodes.find(({ node }) => node !== member!.node)!.node
    expect((await one.connections.list({ ...everything, node: other })).connections.map(({ node }) => node)).toEqual([
      other,
      other,
    ])
    expect((await one.connections.list({ ...everything, protocol: 'supabase' })).connections).toEqual([])
  })

  test('one is closed from the other node, with the code of its protocol, and its client comes back', async () => {
    const [one, two] = await openTwo()
    const there = await connected(two.client())
    await subscribed(there, 'lobby')
    const [listed] = (await one.connections.list(everything)).connections
    const error = heard<{ data: { code: number } }>(there.connection, 'error')
    const again = new Promise<void>((resolve) => there.connection.bind('connected', resolve))
    const ended = await one.connections.end(listed!.id)
    expect(ended).toMatchObject({
      id: listed!.id,
      node: listed!.node,
      protocol: 'pusher',
      code: 4100,
      reason: 'Closed by an operator',
    })
    expect((await error).data.code).toBe(4100)
    await again
    const [after] = await until(async () => {
      const { connections } = await one.connections.list({ ...everything, channel: 'lobby' })
      return connections.length === 1 ? connections : undefined
    })
    expect(after!.id).not.toBe(listed!.id)
    expect(await two.connections.end(listed!.id)).toBeUndefined()
  })

  test('a node that does not answer is counted, and nobody waits for it for long', async () => {
    const prefix = randomUUID()
    const [one, two] = [await openNode(prefix, 100), await openNode(prefix, 100)]
    two.connections.stop()
    await connected(one.client())
    await until(() => one.topics.reach().others === 1, { timeoutMs: 10_000 })
    expect(await one.connections.list(everything)).toMatchObject({ silent: 1, nodes: [{ connections: 1 }] })
    expect(await one.connections.end('00000000000a.1')).toBeUndefined()
  })
})
