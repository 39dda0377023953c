import type { PresenceChannel } from 'pusher-js'
import { describe, expect, test } from 'vitest'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { until } from '../../../time/until.js'
import { connected, heard, subscribed } from './testing/heard.js'
import { app, openPusherNode } from './testing/pusher-node.js'

const cleanups = useCleanups()

type Events = { readonly event: string; readonly data: unknown; readonly channel?: string }[]

const record = (target: { bind_global(callback: (event: string, data: unknown) => void): unknown }): Events => {
  const events: Events = []
  target.bind_global((event, data) => events.push({ event, data }))
  return events
}

describe('R59 pusher-js and the server library', () => {
  test('a public channel hears what is triggered, in order, and nothing after it is left', async () => {
    const node = await openPusherNode(cleanups)
    const client = await connected(node.client())
    expect(client.connection.socket_id).toMatch(/^\d+\.\d+$/)
    const channel = await subscribed(client, 'news')
    const events = record(channel)
    for (const n of [1, 2, 3]) expect(await (await node.api.trigger('news', 'tick', { n })).json()).toEqual({})
    await until(() => events.length === 3)
    expect(events.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    client.unsubscribe('news')
    client.unsubscribe('news')
    await until(async () => !((await (await node.api.get({ path: '/channels/news' })).json()) as { occupied: boolean }).occupied)
    await node.api.trigger('news', 'tick', { n: 4 })
    const again = await subscribed(client, 'news')
    await node.api.trigger('news', 'tick', { n: 5 })
    expect(await heard(again, 'tick')).toEqual({ n: 5 })
    expect(events).toHaveLength(3)
  })

  test('who triggered it does not hear it, and a batch goes to several channels', async () => {
    const node = await openPusherNode(cleanups)
    const [one, two] = [await connected(node.client()), await connected(node.client())]
    const [a, b] = [record(await subscribed(one, 'a')), record(await subscribed(two, 'a'))]
    await node.api.trigger('a', 'e', 'x', { socket_id: one.connection.socket_id })
    await node.api.triggerBatch([
      { channel: 'a', name: 'e', data: 'y' },
      { channel: 'b', name: 'e', data: 'z' },
    ])
    await until(() => a.length === 1 && b.length === 2)
    expect(b.map(({ data }) => data)).toEqual(['x', 'y'])
    expect(a.map(({ data }) => data)).toEqual(['y'])
  })

  test('pusher-js: subscriptions that are cancelled and reinstated while pending', async () => {
    const node = await openPusherNode(cleanups)
    const client = await connected(node.client())
    const channel = client.subscribe('private-x')
    client.unsubscribe('private-x')
    client.subscribe('private-x')
    await until(() => channel.subscribed)
    const cancelled = client.subscribe('private-y')
    client.unsubscribe('private-y')
    await until(() => !cancelled.subscriptionPending)
    expect(cancelled.subscribed).toBe(false)
    expect(client.channel('private-y')).toBeUndefined()
    client.subscribe('private-y')
    await until(() => client.channel('private-y').subscribed)
  })

  test('a subscription that is not signed is refused with a reason, and the connection goes on', async () => {
    const node = await openPusherNode(cleanups)
    const customHandler = (_: unknown, callback: (error: null, data: { auth: string }) => void) =>
      callback(null, { auth: `${app.key}:${'0'.repeat(64)}` })
    const client = await connected(
      node.client({ channelAuthorization: { transport: 'ajax', endpoint: '', customHandler } as never }),
    )
    const error = await heard(client.subscribe('private-x'), 'pusher:subscription_error')
    expect(error).toMatchObject({ type: 'AuthError', status: 401 })
    expect(JSON.stringify(error)).not.toContain(app.secret)
    await subscribed(client, 'public')
  })

  test('client events reach the others of a private channel, at most ten a second', async () => {
    const node = await openPusherNode(cleanups)
    const [one, two] = [await connected(node.client()), await connected(node.client())]
    const [mine, theirs] = [await subscribed(one, 'private-x'), await subscribed(two, 'private-x')]
    const [echo, events] = [record(mine), record(theirs)]
    const error = heard<{ error: unknown }>(one.connection, 'error')
    for (let n = 0; n < 11; n++) mine.trigger('client-move', { n })
    expect(await error).toMatchObject({ data: { code: 4301 } })
    await until(() => events.filter(({ event }) => event === 'client-move').length === 10)
    expect(events.find(({ event }) => event === 'client-move')?.data).toEqual({ n: 0 })
    expect(echo.filter(({ event }) => event === 'client-move')).toEqual([])
    expect(one.connection.state).toBe('connected')
  })

  test('client events are refused on public and encrypted channels, where there is no subscription, and when they are turned off', async () => {
    const node = await openPusherNode(cleanups, { clientEvents: false })
    const other = await openPusherNode(cleanups)
    const asked = async (port: typeof node, channel: string) => {
      const client = await connected(port.client())
      if (channel === 'public') await subscribed(client, channel)
      const error = heard<{ data: { message: string } }>(client.connection, 'error')
      client.send_event('client-x', {}, channel)
      return (await error).data.message
    }
    expect(await asked(node, 'private-x')).toContain('not enabled')
    expect(await asked(other, 'public')).toContain('only supported on private and presence')
    expect(await asked(other, 'private-none')).toContain('no subscription')
  })

  test('presence: who is there, who comes and who leaves, a user with two connections once', async () => {
    const node = await openPusherNode(cleanups)
    const as = (id: string) => ({
      channelAuthorization: {
        transport: 'ajax',
        endpoint: '',
        customHandler: (
          { channelName, socketId }: { channelName: string; socketId: string },
          callback: (error: null, data: never) => void,
        ) => callback(null, node.api.authorizeChannel(socketId, channelName, { user_id: id, user_info: { id } }) as never),
      } as never,
    })
    const ann = await connected(node.client(as('ann')))
    const channel = (await subscribed(ann, 'presence-room')) as PresenceChannel
    const events = record(channel)
    expect(channel.members.count).toBe(1)
    expect(channel.members.me).toEqual({ id: 'ann', info: { id: 'ann' } })
    const [bob, bobAgain] = [await connected(node.client(as('bob'))), await connected(node.client(as('bob')))]
    const bobs = (await subscribed(bob, 'presence-room')) as PresenceChannel
    expect(bobs.members.count).toBe(2)
    expect(bobs.members.get('ann')).toEqual({ id: 'ann', info: { id: 'ann' } })
    await subscribed(bobAgain, 'presence-room')
    expect(await (await node.api.get({ path: '/channels/presence-room/users' })).json()).toEqual({
      users: [{ id: 'ann' }, { id: 'bob' }],
    })
    bob.disconnect()
    await until(async () => {
      const info = await (
        await node.api.get({ path: '/channels/presence-room', params: { info: 'user_count,subscription_count' } })
      ).json()
      return (info as { subscription_count: number }).subscription_count === 2
    })
    bobAgain.disconnect()
    await until(() => events.some(({ event }) => event === 'pusher:member_removed'))
    expect(events).toEqual([
      { event: 'pusher:member_added', data: { id: 'bob', info: { id: 'bob' } } },
      { event: 'pusher:member_removed', data: { id: 'bob', info: { id: 'bob' } } },
    ])
    expect(channel.members.count).toBe(1)
  })

  test('presence: client events name their sender, and a full channel takes nobody else', async () => {
    const node = await openPusherNode(cleanups, { limits: { maxPresenceMembers: 2 } })
    const [one, two, three] = [await connected(node.client()), await connected(node.client()), await connected(node.client())]
    const [a, b] = [await subscribed(one, 'presence-room'), await subscribed(two, 'presence-room')]
    const got = new Promise((resolve) => b.bind('client-hi', (_: unknown, metadata: unknown) => resolve(metadata)))
    a.trigger('client-hi', {})
    expect(await got).toEqual({ user_id: one.connection.socket_id })
    expect(await heard(three.subscribe('presence-room'), 'pusher:subscription_error')).toMatchObject({ type: 'LimitReached' })
  })

  test('cache channels: who comes hears the last event, or that there is none', async () => {
    const node = await openPusherNode(cleanups)
    const client = await connected(node.client())
    const empty = client.subscribe('cache-a')
    await heard(empty, 'pusher:cache_miss')
    await node.api.trigger(['cache-a', 'private-cache-b'], 'set', { n: 1 })
    await node.api.trigger('cache-a', 'set', { n: 2 })
    const later = await connected(node.client())
    expect(await heard(later.subscribe('cache-a'), 'set')).toEqual({ n: 2 })
    expect(await heard(later.subscribe('private-cache-b'), 'set')).toEqual({ n: 1 })
    expect(await (await node.api.get({ path: '/channels/cache-a', params: { info: 'cache' } })).json()).toMatchObject({
      occupied: true,
      cache: { data: '{"n":2}' },
    })
  })

  test('users: sign-in, events to a user, presence by sign-in, the watchlist, and the end of their connections', async () => {
    const node = await openPusherNode(cleanups)
    const as = (id: string, watchlist: string[] = []) => ({
      userAuthentication: {
        transport: 'ajax',
        endpoint: '',
        customHandler: ({ socketId }: { socketId: string }, callback: (error: null, data: never) => void) =>
          callback(null, node.api.authenticateUser(socketId, { id, user_info: { name: id }, watchlist } as never) as never),
      } as never,
      channelAuthorization: {
        transport: 'ajax',
        endpoint: '',
        customHandler: (
          { channelName, socketId }: { channelName: string; socketId: string },
          callback: (error: null, data: never) => void,
        ) => callback(null, node.api.authorizeChannel(socketId, channelName) as never),
      } as never,
    })
    const ann = await connected(node.client(as('ann', ['bob'])))
    const online = heard(ann.user.watchlist, 'online')
    const offline = heard(ann.user.watchlist, 'offline')
    ann.signin()
    await ann.user.signinDonePromise
    const greeting = heard(ann.user, 'greeting')
    await until(() => ann.user.serverToUserChannel?.subscribed === true)
    await node.api.sendToUser('ann', 'greeting', { hello: 1 })
    expect(await greeting).toEqual({ hello: 1 })
    const room = (await subscribed(ann, 'presence-room')) as PresenceChannel
    expect(room.members.me).toEqual({ id: 'ann', info: { name: 'ann' } })

    const bob = await connected(node.client(as('bob')))
    bob.signin()
    await bob.user.signinDonePromise
    expect(await online).toMatchObject({ user_ids: ['bob'] })
    const ended = heard(bob.connection, 'disconnected')
    const error = heard<{ data: { code: number } }>(bob.connection, 'error')
    await node.api.terminateUserConnections('bob')
    expect((await error).data.code).toBe(4009)
    await ended
    expect(await offline).toMatchObject({ user_ids: ['bob'] })
    expect(ann.connection.state).toBe('connected')
  })

  test('a sign-in that is not signed ends the connection', async () => {
    const node = await openPusherNode(cleanups)
    const client = await connected(node.client())
    const error = heard<{ data: { code: number } }>(client.connection, 'error')
    client.send_event('pusher:signin', { auth: `${app.key}:0`, user_data: '{"id":"ann"}' })
    expect((await error).data.code).toBe(4009)
    await until(() => client.connection.state === 'disconnected')
  })

  test('subscription counts are told as they change', async () => {
    const node = await openPusherNode(cleanups)
    const client = await connected(node.client())
    const channel = client.subscribe('news')
    const counts: number[] = []
    channel.bind('pusher:subscription_count', ({ subscription_count }: { subscription_count: number }) =>
      counts.push(subscription_count),
    )
    await until(() => counts.length > 0)
    const other = await connected(node.client())
    await subscribed(other, 'news')
    await until(() => counts.at(-1) === 2)
    other.disconnect()
    await until(() => counts.at(-1) === 1)
  })

  test('encrypted channels: the server passes on what it cannot read', async () => {
    const encryptionMasterKeyBase64 = Buffer.alloc(32, 7).toString('base64')
    const node = await openPusherNode(cleanups)
    const { default: Api } = await import('pusher')
    const api = new Api({
      appId: app.id,
      key: app.key,
      secret: app.secret,
      host: '127.0.0.1',
      port: String(node.port),
      encryptionMasterKeyBase64,
    } as never)
    const { default: nacl } = await import('tweetnacl')
    const { auth, shared_secret } = api.authorizeChannel('1.2', 'private-encrypted-x') as { auth: string; shared_secret: string }
    expect(auth).toContain(app.key)
    const client = await connected(node.client())
    // Without the key the client's library would not let it subscribe; what goes over the wire is the same.
    client.send_event('pusher:subscribe', {
      channel: 'private-encrypted-x',
      auth: api.authorizeChannel(client.connection.socket_id, 'private-encrypted-x').auth,
    })
    const message = new Promise<{ data: { nonce: string; ciphertext: string } }>((resolve) =>
      client.connection.bind('message', (event: { event: string }) => event.event === 'secret' && resolve(event as never)),
    )
    await until(
      async () => ((await (await api.get({ path: '/channels/private-encrypted-x' })).json()) as { occupied: boolean }).occupied,
    )
    await api.trigger('private-encrypted-x', 'secret', { text: 'hidden' })
    const { data } = await message
    const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
    const opened = nacl.secretbox.open(bytes(data.ciphertext), bytes(data.nonce), bytes(shared_secret))
    expect(Buffer.from(opened!).toString()).toBe('{"text":"hidden"}')
  })
})
