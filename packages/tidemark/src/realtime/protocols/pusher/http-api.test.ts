import Api from 'pusher'
import { describe, expect, test } from 'vitest'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { requestText, sign } from './signature.js'
import { connected, heard, subscribed } from './testing/heard.js'
import { app, openPusherNode, otherApp, type PusherNode } from './testing/pusher-node.js'

const cleanups = useCleanups()

const refusedBy = async (run: Promise<unknown>): Promise<{ status: number; body: string }> => {
  const error = await run.then(
    () => undefined,
    (reason: { status: number; body: string }) => reason,
  )
  return { status: error?.status ?? 200, body: error?.body ?? '' }
}

const posts = (node: PusherNode, path: string, body: object) => refusedBy(node.api.post({ path, body, params: {} } as never))

describe("Pusher's HTTP API", () => {
  test('events are bounded: name, data, channels, socket id, batch', async () => {
    const node = await openPusherNode(cleanups)
    const event = { name: 'e', data: 'x', channels: ['a'] }
    const cases: [string, object, number, string][] = [
      ['/events', { ...event, data: 'x'.repeat(10_240) }, 200, ''],
      ['/events', { ...event, data: 'x'.repeat(10_241) }, 413, 'exceeds the allowed maximum (10240 bytes)'],
      ['/events', { ...event, name: 'n'.repeat(201) }, 400, 'Event name too long'],
      ['/events', { ...event, name: undefined }, 400, 'name'],
      ['/events', { ...event, data: { a: 1 } }, 400, 'data'],
      ['/events', { ...event, channels: [] }, 400, 'channels'],
      ['/events', { ...event, channels: Array.from({ length: 101 }, (_, n) => `c${n}`) }, 400, 'more than 100 channels'],
      ['/events', { ...event, channels: ['a b'] }, 400, 'Invalid channel name'],
      ['/events', { ...event, channels: ['a'.repeat(201)] }, 400, 'Invalid channel name'],
      ['/events', { ...event, socket_id: 'x' }, 400, 'socket id'],
      ['/events', { ...event, info: 'colour' }, 400, 'Invalid info attribute'],
      ['/events', { name: 'e', data: 'x', channel: 'a' }, 200, ''],
      [
        '/batch_events',
        { batch: Array.from({ length: 11 }, () => ({ name: 'e', data: 'x', channel: 'a' })) },
        400,
        'more than 10',
      ],
      ['/batch_events', { batch: 'x' }, 400, 'batch'],
      ['/batch_events', {}, 400, 'batch'],
      ['/nothing', {}, 404, ''],
    ]
    for (const [path, body, status, text] of cases) {
      const answer = await posts(node, path, body)
      expect([path, answer.status]).toEqual([path, status])
      expect(answer.body).toContain(text)
    }
  })

  test('of a batch that is refused in part nothing goes out', async () => {
    const node = await openPusherNode(cleanups)
    const channel = await subscribed(await connected(node.client()), 'a')
    const first = heard(channel, 'e')
    const refused = await posts(node, '/batch_events', {
      batch: [
        { name: 'e', data: '1', channel: 'a' },
        { name: 'e', channel: 'a' },
      ],
    })
    expect(refused.status).toBe(400)
    await node.api.trigger('a', 'e', '2')
    expect(await first).toBe(2)
  })

  test('what the server library sends arrives as it was, on every name that it allows; an app is known by its URL', async () => {
    const node = await openPusherNode(cleanups)
    const name = 'test_-=@,.;channel'
    const channel = await subscribed(await connected(node.client()), name)
    const api = Api.forURL(`http://${app.key}:${app.secret}@127.0.0.1:${node.port}/apps/${app.id}`)
    const sent: readonly unknown[] = [{ some: 'data ' }, [1, 2, 4], 'test string', '', 'ü 💥', 'null']
    for (const [index, data] of sent.entries()) {
      const told = heard(channel, `event ${index}`)
      const answer = await api.trigger([name, 'other'], `event ${index}`, data)
      expect([answer.status, await answer.json()]).toEqual([200, {}])
      expect(await told).toEqual(data === 'null' ? null : data)
    }
    expect(await (await api.triggerBatch([{ channel: name, name: 'e', data: { a: 1 } }])).json()).toEqual({})
    const refused = await api.trigger(name, 'e', 'x'.repeat(10_241)).catch((error: unknown) => error)
    expect(refused).toMatchObject({ message: 'Unexpected status code 413', status: 413, body: expect.stringContaining('10240') })
  })

  test('channels, with their users and counts', async () => {
    const node = await openPusherNode(cleanups)
    const client = await connected(node.client())
    for (const name of ['news', 'presence-a', 'presence-b']) await subscribed(client, name)
    const get = async (path: string, params: object = {}) => (await node.api.get({ path, params } as never)).json()
    expect(await get('/channels')).toEqual({ channels: { news: {}, 'presence-a': {}, 'presence-b': {} } })
    expect(await get('/channels', { filter_by_prefix: 'presence-', info: 'user_count' })).toEqual({
      channels: { 'presence-a': { user_count: 1 }, 'presence-b': { user_count: 1 } },
    })
    expect(await get('/channels/news')).toEqual({ occupied: true })
    expect(await get('/channels/none')).toEqual({ occupied: false })
    expect(await get('/channels/news', { info: 'subscription_count' })).toEqual({ occupied: true, subscription_count: 1 })
    expect(await get('/channels/presence-a', { info: 'user_count' })).toEqual({ occupied: true, user_count: 1 })
    expect(await get('/channels/presence-a/users')).toEqual({ users: [{ id: client.connection.socket_id }] })
    const refusal = (path: string, params: object = {}) => refusedBy(node.api.get({ path, params } as never))
    expect(await refusal('/channels', { info: 'user_count' })).toMatchObject({
      status: 400,
      body: expect.stringContaining('filter_by_prefix'),
    })
    expect(await refusal('/channels/news', { info: 'user_count' })).toMatchObject({ status: 400 })
    expect(await refusal('/channels/news/users')).toMatchObject({
      status: 400,
      body: 'Users can only be retrieved for presence channels',
    })
    const triggered = await node.api.trigger(['presence-a', 'news'], 'e', 'x', { info: 'user_count,subscription_count' })
    expect(await triggered.json()).toEqual({
      channels: { 'presence-a': { user_count: 1, subscription_count: 1 }, news: { subscription_count: 1 } },
    })
    const batch = await node.api.triggerBatch([
      { channel: 'presence-a', name: 'e', data: 'x', info: 'user_count' } as never,
      { channel: 'news', name: 'e', data: 'x' },
    ])
    expect(await batch.json()).toEqual({ batch: [{ user_count: 1 }, {}] })
  })

  test('who does not sign is refused in text, and other apps do not exist', async () => {
    const node = await openPusherNode(cleanups)
    const url = `http://127.0.0.1:${node.port}`
    const bare = await fetch(`${url}/apps/${app.id}/channels`)
    expect([bare.status, await bare.text()]).toEqual([401, 'Unknown auth_key'])
    expect((await fetch(`${url}/apps/1/channels`)).status).toBe(404)
    const path = `/apps/${app.id}/users/${encodeURIComponent('ann@x y')}/terminate_connections`
    const query = new URLSearchParams({
      auth_key: app.key,
      auth_timestamp: String(Math.floor(Date.now() / 1000)),
      auth_version: '1.0',
    })
    query.set('auth_signature', sign(app, requestText('POST', decodeURIComponent(path), query)))
    const ended = await fetch(`${url}${path}?${query}`, { method: 'POST' })
    expect([ended.status, await ended.json()]).toEqual([200, {}])
  })

  test('apps are apart: channels, keys and signatures of one mean nothing to another', async () => {
    const node = await openPusherNode(cleanups)
    const channel = await subscribed(await connected(node.client()), 'a')
    const first = heard(channel, 'e')
    const options = { host: '127.0.0.1', port: String(node.port) }
    const { default: Api } = await import('pusher')
    const other = new Api({ appId: otherApp.id, key: otherApp.key, secret: otherApp.secret, ...options })
    expect(await (await other.trigger('a', 'e', '1')).json()).toEqual({})
    expect(await (await other.get({ path: '/channels' })).json()).toEqual({ channels: {} })
    const mixed = new Api({ appId: otherApp.id, key: app.key, secret: app.secret, ...options })
    expect(await refusedBy(mixed.get({ path: '/channels' }))).toEqual({ status: 401, body: 'Unknown auth_key' })
    await node.api.trigger('a', 'e', '2')
    expect(await first).toBe(2)
  })

  test('what is published from within is bounded as the API is', async () => {
    const node = await openPusherNode(cleanups)
    const channel = await subscribed(await connected(node.client()), 'a')
    const got = heard(channel, 'e')
    await node.pusher.publisher.trigger(['a'], 'e', { n: 1 })
    expect(await got).toEqual({ n: 1 })
    await expect(node.pusher.publisher.trigger(['a b'], 'e', 1)).rejects.toMatchObject({ code: 'TM_REALTIME_PUSHER' })
    await expect(node.pusher.publisher.trigger(['a'], 'e', 'x'.repeat(20_000))).rejects.toMatchObject({
      code: 'TM_REALTIME_PUSHER',
    })
  })
})
