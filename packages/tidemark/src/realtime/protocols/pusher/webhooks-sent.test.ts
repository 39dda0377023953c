import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { pusherWebhookEvents } from '../../../config/options/pusher-options.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { until } from '../../../time/until.js'
import { connected, subscribed } from './testing/heard.js'
import { openPusherNode } from './testing/pusher-node.js'

const cleanups = useCleanups()

interface Hook {
  readonly headers: Record<string, string>
  readonly rawBody: string
}

const receive = async (): Promise<{ url: string; hooks: Hook[] }> => {
  const hooks: Hook[] = []
  const server = createServer(async (request, response) => {
    let rawBody = ''
    for await (const chunk of request) rawBody += chunk
    hooks.push({ headers: request.headers as Record<string, string>, rawBody })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, hooks }
}

test('the server library verifies what webhooks tell of channels, members and client events', async () => {
  const { url, hooks } = await receive()
  const node = await openPusherNode(cleanups, { webhooks: { urls: [url], events: pusherWebhookEvents } })
  const told = () =>
    hooks.flatMap((hook) => {
      const webhook = node.api.webhook(hook)
      expect(webhook.isValid()).toBe(true)
      return webhook.getEvents() as unknown as { name: string; channel: string; user_id?: string; data?: string }[]
    })
  const [one, two] = [await connected(node.client()), await connected(node.client())]
  const room = await subscribed(one, 'presence-room')
  await subscribed(two, 'presence-room')
  one.subscribe('cache-empty')
  room.trigger('client-hi', { n: 1 })
  two.disconnect()
  await until(() => told().some(({ name }) => name === 'member_removed'), { timeoutMs: 15_000 })
  one.unsubscribe('presence-room')
  const counted = () => told().filter(({ name }) => name !== 'subscription_count')
  await until(() => counted().length >= 9)
  const [a, b] = [one.connection.socket_id, told().find(({ name }) => name === 'member_removed')?.user_id]
  const summary = counted().map(({ name, channel, user_id, data }) =>
    [name, channel, user_id, data].filter((part) => part !== undefined).join(' '),
  )
  expect(new Set(summary)).toEqual(
    new Set([
      'channel_occupied presence-room',
      `member_added presence-room ${a}`,
      `member_added presence-room ${b}`,
      'channel_occupied cache-empty',
      'cache_miss cache-empty',
      `client_event presence-room ${a} {"n":1}`,
      `member_removed presence-room ${b}`,
      `member_removed presence-room ${a}`,
      'channel_vacated presence-room',
    ]),
  )
  expect(summary).toHaveLength(9)
})
