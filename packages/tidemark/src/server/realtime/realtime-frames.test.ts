import { expect, test } from 'vitest'
import { dialectsOf, type FuzzReport, fuzz } from '../../realtime/hub/testing/frame-fuzz.js'
import { app, openPusherNode } from '../../realtime/protocols/pusher/testing/pusher-node.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { openRealtimeServer } from '../testing/use-realtime-server.js'

const cleanups = useCleanups()
const limits = { eventsPerSecond: 1_000_000, joinsPerSecond: 100_000 }
const frames = 2_500

const expectSettled = ({ wrong, sent, answered, closed }: FuzzReport, codes: readonly number[]): void => {
  expect(wrong).toEqual([])
  expect(sent).toBeGreaterThanOrEqual(frames)
  expect(answered).toBeGreaterThan(10)
  expect([...closed.keys()]).toEqual(expect.arrayContaining([...codes]))
}

test('whatever comes over a socket of Supabase it is answered, or the socket is closed with a reason; nothing is left behind', async () => {
  const server = await openRealtimeServer(cleanups, { limits })
  const dialects = dialectsOf({ anonKey: server.anonKey })
  const report = await fuzz({ port: server.port, dialects, dice: Math.random, frames })
  // Frames that are none, and messages that are none.
  expectSettled(report, [1002, 1007])
  await until(() => server.hub.connections() === 0)
  expect(server.hub.bufferedBytes()).toBe(0)
  const client = server.client()
  const channel = client.channel('a')
  await until(() => new Promise((resolve) => channel.subscribe((status) => resolve(status === 'SUBSCRIBED'))))
})

test('and so it is over a socket of Pusher', async () => {
  const node = await openPusherNode(cleanups)
  const dialects = dialectsOf({ anonKey: '', pusherKey: app.key }).filter(({ name }) => name === 'pusher')
  expectSettled(await fuzz({ port: node.port, dialects, dice: Math.random, frames }), [1002, 4009])
})
