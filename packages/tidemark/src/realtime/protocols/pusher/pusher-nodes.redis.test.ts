import { randomUUID } from 'node:crypto'
import type { PresenceChannel } from 'pusher-js'
import { describe, expect, test } from 'vitest'
import { createRedis } from '../../../redis/create-redis.js'
import { sharedRedisUrl } from '../../../testing/redis/redis-setup.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { until } from '../../../time/until.js'
import { connected, heard, subscribed } from './testing/heard.js'
import { openPusherNode, type PusherNode } from './testing/pusher-node.js'

const url = sharedRedisUrl()
const cleanups = useCleanups()

const openTwo = async (): Promise<readonly [PusherNode, PusherNode]> => {
  const prefix = randomUUID()
  const open = async () => {
    const redis = await createRedis({ url: url! })
    cleanups.push(() => redis.stop())
    return openPusherNode(cleanups, { redis, prefix })
  }
  return [await open(), await open()]
}

describe.skipIf(url === undefined)('R107 Pusher over two nodes', () => {
  test('triggered events, client events, the last event of a cache channel and counts reach the other node', async () => {
    const [one, two] = await openTwo()
    const [here, there] = [await connected(one.client()), await connected(two.client())]
    const counts: number[] = []
    const mine = await subscribed(here, 'private-x')
    mine.bind('pusher:subscription_count', ({ subscription_count }: { subscription_count: number }) =>
      counts.push(subscription_count),
    )
    const theirs = await subscribed(there, 'private-x')
    await until(() => counts.at(-1) === 2, { timeoutMs: 10_000 })
    const [event, clientEvent] = [heard(theirs, 'e'), heard(theirs, 'client-e')]
    await one.api.trigger('private-x', 'e', { n: 1 })
    mine.trigger('client-e', { n: 2 })
    expect([await event, await clientEvent]).toEqual([{ n: 1 }, { n: 2 }])
    await one.api.trigger('cache-x', 'set', { n: 3 })
    expect(await heard(there.subscribe('cache-x'), 'set')).toEqual({ n: 3 })
    const info = await two.api.get({ path: '/channels/private-x', params: { info: 'subscription_count' } })
    expect(await info.json()).toEqual({ occupied: true, subscription_count: 2 })
  })

  test('presence is one over both nodes, and who is ended is ended wherever it is connected', async () => {
    const [one, two] = await openTwo()
    const userAuthentication = {
      customHandler: ({ socketId }: { socketId: string }, callback: (error: null, data: never) => void) =>
        callback(null, two.api.authenticateUser(socketId, { id: 'bob' } as never) as never),
    }
    const there = await connected(two.client({ userAuthentication: userAuthentication as never }))
    const here = await connected(one.client())
    const room = (await subscribed(here, 'presence-room')) as PresenceChannel
    const added = heard<{ id: string }>(room, 'pusher:member_added')
    const theirs = (await subscribed(there, 'presence-room')) as PresenceChannel
    expect((await added).id).toBe(there.connection.socket_id)
    expect(theirs.members.count).toBe(2)
    there.signin()
    await there.user.signinDonePromise
    const removed = heard<{ id: string }>(room, 'pusher:member_removed')
    const event = heard(there.user, 'hello')
    await until(() => there.user.serverToUserChannel?.subscribed === true)
    await one.api.sendToUser('bob', 'hello', { n: 1 })
    expect(await event).toEqual({ n: 1 })
    const gone = there.connection.socket_id
    await one.api.terminateUserConnections('bob')
    expect((await removed).id).toBe(gone)
    await until(() => there.connection.state === 'disconnected')
  })
})
