import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import {
  openRealtimeServer,
  publishableKey,
  type RawClient,
  type RealtimeServer,
  type RealtimeServerOptions,
} from '../testing/use-realtime-server.js'

const cleanups = useCleanups()
const open = (options?: RealtimeServerOptions) => openRealtimeServer(cleanups, options)

const join = (ref: string, topic: string, config: object = {}) => [ref, ref, topic, 'phx_join', { config }]

/** Sends, and waits until so much was heard in all. */
const talk = async ({ send, heard }: RawClient, messages: readonly unknown[], count: number): Promise<readonly unknown[]> => {
  for (const message of messages) send(message)
  await until(() => heard.length >= count)
  return heard
}

const ok = (ref: string, topic: string, response: object = {}) => [ref, ref, topic, 'phx_reply', { status: 'ok', response }]
const joined = (ref: string, topic: string) => ok(ref, topic, { postgres_changes: [] })
const state = (ref: string, topic: string) => [ref, null, topic, 'presence_state', {}]

describe('the handshake', () => {
  const refusalOf = ({ port }: RealtimeServer, query: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number | undefined; body: unknown }>((resolve, reject) => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/realtime/v1/websocket?${query}`, { headers })
      ws.on('open', () => {
        ws.terminate()
        resolve({ status: 101, body: undefined })
      })
      ws.on('unexpected-response', (_request, response) => {
        let text = ''
        response.on('data', (data) => {
          text += data
        })
        response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(text) }))
      })
      ws.on('error', reject)
    })

  test('refuses in words and with a status', async () => {
    const server = await open()
    const refused = (error: string) => ({ status: 401, body: { error } })
    const forged = `${server.anonKey.slice(0, -6)}aaaaaa`
    const noRole = await server.token({ sub: 'x' })
    const expired = await server.token({ role: 'anon' }, '-1h')
    expect(await refusalOf(server, 'vsn=2.0.0')).toEqual(refused('API key is missing'))
    expect(await refusalOf(server, 'apikey=nonsense')).toEqual(refused('The token provided is not a valid JWT'))
    expect(await refusalOf(server, 'apikey=a.b.c')).toEqual(refused('The token provided is not a valid JWT'))
    expect(await refusalOf(server, `apikey=${forged}`)).toEqual(refused('Failed to validate JWT signature'))
    expect(await refusalOf(server, `apikey=${expired}`)).toEqual(refused('Token has expired'))
    expect(await refusalOf(server, `apikey=${noRole}`)).toEqual(refused('Fields `role` and `exp` are required in JWT'))
    expect((await refusalOf(server, `apikey=${server.anonKey}&vsn=3.0.0`)).status).toBe(400)
    expect(await await open({ unattached: true }).then((early) => refusalOf(early, `apikey=${early.anonKey}`))).toMatchObject({
      status: 503,
    })
  })

  test('takes the key of the URL or of a header, opaque ones as well', async () => {
    const server = await open()
    expect((await refusalOf(server, `apikey=${publishableKey}`)).status).toBe(101)
    expect((await refusalOf(server, '', { apikey: server.anonKey })).status).toBe(101)
    expect((await refusalOf(server, 'apikey=nonsense', { 'x-api-key': server.anonKey })).status).toBe(101)
  })

  test('whoever is too many is told so', async () => {
    const server = await open({ limits: { maxConnections: 1 } })
    await server.raw()
    expect(await refusalOf(server, `apikey=${server.anonKey}`)).toEqual({
      status: 429,
      body: { error: 'Too many connected users' },
    })
  })

  test('without an upgrade the address says what it is', async () => {
    const { url } = await open()
    expect((await fetch(`${url}/realtime/v1/websocket`)).status).toBe(426)
  })
})

describe('channels', () => {
  test('heartbeats are answered, also in the old version, which is meant where none is named', async () => {
    const server = await open()
    const [two, one, unnamed] = [
      await server.raw(),
      await server.raw(`apikey=${server.anonKey}&vsn=1.0.0`),
      await server.raw(`apikey=${server.anonKey}`),
    ]
    expect(await talk(two, [[null, '7', 'phoenix', 'heartbeat', {}]], 1)).toEqual([
      [null, '7', 'phoenix', 'phx_reply', { status: 'ok', response: {} }],
    ])
    for (const old of [one, unnamed]) {
      expect(await talk(old, [{ topic: 'phoenix', event: 'heartbeat', payload: {}, ref: '7' }], 1)).toEqual([
        { topic: 'phoenix', event: 'phx_reply', payload: { status: 'ok', response: {} }, ref: '7' },
      ])
    }
  })

  test('a join tells back what was asked for, with keys that nobody knows, in its order, and ids', async () => {
    const client = await (await open()).raw()
    const asked = [
      { event: '*', schema: 'public', table: 'todos', select: ['id'], later: { a: 1 } },
      { event: 'INSERT', schema: 'public', table: 'rooms', filter: 'id=eq.1' },
      { event: '*', schema: 'public', table: 'todos', select: ['id'], later: { a: 1 } },
    ]
    const [reply] = await talk(client, [join('1', 'realtime:room', { postgres_changes: asked })], 3)
    const told = (
      reply as [unknown, unknown, unknown, unknown, { response: { postgres_changes: ({ id: number } & object)[] } }]
    )[4].response.postgres_changes
    expect(told.map(({ id: _id, ...rest }) => rest)).toEqual(asked)
    expect(told[0]?.id).toBe(told[2]?.id)
    expect(told[0]?.id).not.toBe(told[1]?.id)
  })

  test('joining once more ends the first, and leaving ends it for good', async () => {
    const client = await (await open()).raw()
    const topic = 'realtime:room'
    const leave = [
      ['1', '4', topic, 'phx_leave', {}],
      ['2', '5', topic, 'phx_leave', {}],
      ['2', '6', topic, 'phx_leave', {}],
    ]
    await talk(client, [join('1', topic)], 2)
    await talk(client, [join('2', topic)], 5)
    expect(await talk(client, leave, 8)).toEqual([
      joined('1', topic),
      state('1', topic),
      ['1', '1', topic, 'phx_close', {}],
      joined('2', topic),
      state('2', topic),
      ['2', '5', topic, 'phx_reply', { status: 'ok', response: {} }],
      ['2', '2', topic, 'phx_close', {}],
      ['2', '6', topic, 'phx_reply', { status: 'ok', response: {} }],
    ])
  })

  test('what is said to no channel is answered so; a channel has to have a name', async () => {
    const client = await (await open()).raw()
    const unmatched = { status: 'error', response: { reason: 'unmatched topic' } }
    const messages = [
      [null, '1', 'realtime:nowhere', 'broadcast', {}],
      ['2', '2', 'elsewhere', 'phx_join', {}],
      ['3', '3', 'realtime:', 'phx_join', {}],
    ]
    expect(await talk(client, messages, 3)).toEqual([
      [null, '1', 'realtime:nowhere', 'phx_reply', unmatched],
      ['2', '2', 'elsewhere', 'phx_reply', unmatched],
      [
        '3',
        '3',
        'realtime:',
        'phx_reply',
        { status: 'error', response: { reason: 'TopicNameRequired: You must provide a topic name' } },
      ],
    ])
  })

  test('what a client says before its join is answered is done after it', async () => {
    const server = await open()
    const client = await server.raw()
    const free = server.changes.hold()
    const topic = 'realtime:room'
    client.send(
      join('1', topic, { broadcast: { self: true }, presence: { enabled: false }, postgres_changes: [{ table: 'todos' }] }),
    )
    client.send(['1', '2', topic, 'broadcast', { type: 'broadcast', event: 'early', payload: {} }])
    expect(await talk(client, [[null, '3', 'phoenix', 'heartbeat', {}]], 1)).toHaveLength(1)
    free()
    await until(() => client.heard.length === 4)
    expect(client.heard.slice(1).map((message) => (message as unknown[])[3])).toEqual(['phx_reply', 'system', 'broadcast'])
  })

  test('a channel that is left while it is joined holds nothing', async () => {
    const server = await open()
    const client = await server.raw()
    const free = server.changes.hold()
    const topic = 'realtime:room'
    client.send(join('1', topic, { postgres_changes: [{ table: 'todos' }] }))
    await until(() => server.changes.asked() === 1)
    expect(await talk(client, [['1', '2', topic, 'phx_leave', {}]], 2)).toEqual([
      ['1', '2', topic, 'phx_reply', { status: 'ok', response: {} }],
      ['1', '1', topic, 'phx_close', {}],
    ])
    free()
    await until(() => server.changes.listeners[0]?.closed)
    expect(await talk(client, [[null, '3', 'phoenix', 'heartbeat', {}]], 3)).toHaveLength(3)
  })

  test('a message that comes while others are looked up to be told again is told once, and in its place', async () => {
    const server = await open()
    const client = await server.raw(`apikey=${server.anonKey}&vsn=1.0.0`)
    const send = (id: string) =>
      server.messages.send({ id, topic: 'open', event: 'e', private: true, payload: { kind: 'json', text: '{}' } })
    send('before')
    const free = server.messages.holdReplay()
    const config = { private: true, broadcast: { replay: { since: 0 } }, presence: { enabled: false } }
    client.send({ topic: 'realtime:open', event: 'phx_join', payload: { config }, ref: '1' })
    await until(() => server.messages.replays() === 1)
    send('meanwhile')
    free()
    await until(() => client.heard.length === 3)
    send('after')
    await until(() => client.heard.length === 4)
    const told = client.heard.slice(1).map((message) => (message as { payload: { meta: object } }).payload.meta)
    expect(told).toEqual([{ id: 'before', replayed: true }, { id: 'meanwhile', replayed: true }, { id: 'after' }])
  })

  test('a join that has to wait for its changes fails where they cannot be told', async () => {
    const client = await (await open()).raw()
    const config = { postgres_changes: [{ table: 'nothing' }], postgres_changes_options: { wait: true } }
    const [reply] = await talk(client, [join('1', 'realtime:room', config)], 1)
    expect(reply).toMatchObject([
      '1',
      '1',
      'realtime:room',
      'phx_reply',
      {
        status: 'error',
        response: { reason: expect.stringMatching(/^RealtimeDisabledForConfiguration: Unable to subscribe to changes/) },
      },
    ])
  })

  test('the topics of the first protocol: changes under their own names', async () => {
    const server = await open()
    const client = await server.raw(`apikey=${server.anonKey}&vsn=1.0.0`)
    const topic = 'realtime:public:todos:owner=eq.ann'
    await talk(client, [{ topic, event: 'phx_join', payload: {}, ref: '1' }], 2)
    server.changes.commit(['INSERT', 'todos', { id: 1, owner: 'bob' }], ['INSERT', 'todos', { id: 2, owner: 'ann' }])
    await until(() => client.heard.length === 3)
    expect(client.heard[2]).toMatchObject({
      topic,
      event: 'INSERT',
      payload: { type: 'INSERT', record: { id: 2, owner: 'ann' } },
    })
  })

  test('an update of presence names the ref that it replaces', async () => {
    const client = await (await open()).raw()
    const topic = 'realtime:room'
    const track = (ref: string, at: number) => [
      '1',
      ref,
      topic,
      'presence',
      { type: 'presence', event: 'TRACK', payload: { at } },
    ]
    await talk(client, [join('1', topic, { presence: { key: 'ann' } })], 2)
    const heard = await talk(client, [track('2', 1), track('3', 2)], 7)
    const diffs = heard
      .filter((message) => (message as unknown[])[3] === 'presence_diff')
      .map((message) => (message as unknown[])[4])
    const first = (diffs[0] as { joins: { ann: { metas: [{ phx_ref: string }] } } }).joins.ann.metas[0].phx_ref
    expect(diffs).toEqual([
      { joins: { ann: { metas: [{ at: 1, phx_ref: first }] } }, leaves: {} },
      { joins: {}, leaves: { ann: { metas: [{ at: 1, phx_ref: first }] } } },
      { joins: { ann: { metas: [{ at: 2, phx_ref: expect.any(String), phx_ref_prev: first }] } }, leaves: {} },
    ])
  })

  test('two keys that are the same in JavaScript alone are two', async () => {
    const server = await open()
    const client = await server.raw()
    const topic = 'realtime:room'
    await talk(client, [join('1', topic, { presence: { key: '__proto__' } })], 2)
    await talk(client, [['1', '2', topic, 'presence', { event: 'track', payload: { phx_ref: 'mine' } }]], 4)
    expect(JSON.stringify(client.heard[2])).toMatch(/"joins":{"__proto__":{"metas":\[{"phx_ref":"(?!mine)/)
  })
})

describe('limits', () => {
  test('of channels, of joins and of messages', async () => {
    const server = await open({ limits: { maxChannelsPerConnection: 2, joinsPerSecond: 4, eventsPerSecond: 1 } })
    const client = await server.raw()
    const topics = ['a', 'b', 'c'].map((name) => `realtime:${name}`)
    await talk(
      client,
      topics.map((topic, index) => join(`${index}`, topic, { presence: { enabled: false } })),
      3,
    )
    expect(client.heard).toContainEqual([
      '2',
      '2',
      'realtime:c',
      'phx_reply',
      { status: 'error', response: { reason: 'ChannelRateLimitReached: Too many channels' } },
    ])
    const say = ['0', '9', 'realtime:a', 'broadcast', { event: 'x', payload: {} }]
    await talk(
      client,
      Array.from({ length: 8 }, () => say),
      5,
    )
    expect(client.heard.slice(3, 5)).toEqual([
      [
        '0',
        null,
        'realtime:a',
        'system',
        { channel: 'a', extension: 'system', status: 'error', message: 'Too many messages per second' },
      ],
      ['0', '0', 'realtime:a', 'phx_close', {}],
    ])
    const eager = await server.raw()
    for (let index = 0; index < 5; index++) eager.send(join(`${index}`, `realtime:${index}`))
    expect(await eager.closed()).toEqual({ code: 1008, reason: 'Too many joins per second' })
    expect(eager.heard.at(-1)).toMatchObject([
      '4',
      '4',
      'realtime:4',
      'phx_reply',
      { response: { reason: 'ClientJoinRateLimitReached: Too many joins per second' } },
    ])
    await server.observation.refreshGauges()
    expect(await server.observation.metrics.render()).toContain(
      'tidemark_realtime_joins_total{outcome="ChannelRateLimitReached"} 3',
    )
  })

  test('of what is broadcast and tracked at once', async () => {
    const client = await (await open({ limits: { maxPayloadBytes: 1000 } })).raw()
    const topic = 'realtime:room'
    const large = 'x'.repeat(1000)
    await talk(client, [join('1', topic, { broadcast: { ack: true }, presence: { enabled: false } })], 1)
    await talk(client, [['1', '2', topic, 'broadcast', { event: 'x', payload: large }]], 2)
    expect(client.heard[1]).toMatchObject([
      '1',
      '2',
      topic,
      'phx_reply',
      { status: 'error', response: { reason: 'payload_size_exceeded' } },
    ])
    await talk(client, [['1', '3', topic, 'presence', { event: 'track', payload: { large } }]], 4)
    expect(client.heard[2]).toMatchObject(['1', null, topic, 'system', { message: 'Track message size exceeded' }])
  })

  test('SEC: of all that one connection has tracked together, which stays in memory; what it untracks or leaves is free again', async () => {
    const client = await (await open({ limits: { maxPayloadBytes: 1000 } })).raw()
    const topics = ['a', 'b', 'c'].map((name) => `realtime:${name}`)
    const track = (at: number, bytes: number) => [
      `${at}`,
      `t${at}`,
      topics[at],
      'presence',
      { event: 'track', payload: { x: 'x'.repeat(bytes) } },
    ]
    const heardOf = (at: number) => client.heard.filter((message) => (message as unknown[])[2] === topics[at])
    const eventsOf = (at: number) => heardOf(at).map((message) => (message as unknown[])[3])
    await talk(
      client,
      topics.map((topic, at) => join(`${at}`, topic)),
      6,
    )
    client.send(track(0, 600))
    client.send(track(1, 300))
    await until(() => eventsOf(0).length === 4 && eventsOf(1).length === 4)
    client.send(track(2, 200))
    await until(() => eventsOf(2).includes('phx_close'))
    expect(heardOf(2)[2]).toMatchObject([
      expect.anything(),
      null,
      topics[2],
      'system',
      { message: 'Track message size exceeded' },
    ])
    client.send(['0', 'u', topics[0], 'presence', { event: 'untrack' }])
    client.send(['1', 'l', topics[1], 'phx_leave', {}])
    client.send(join('2', topics[2]!))
    client.send(track(2, 900))
    const answer = await until(() => heardOf(2).find((message) => (message as unknown[])[1] === 't2'))
    expect(answer).toMatchObject(['2', 't2', topics[2], 'phx_reply', { status: 'ok' }])
  })

  test('SEC: what is tracked is not nested so deeply that nobody could be told of it, neither who comes later nor other servers', async () => {
    const server = await open({ limits: { presenceCalls: 1_000 } })
    const [client, other] = [await server.raw(), await server.raw()]
    const topic = 'realtime:room'
    const track = async (depth: number) => {
      const payload = `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
      client.ws.send(`["1","${depth}","${topic}","presence",{"event":"track","payload":${payload}}]`)
      const isAnswer = (message: unknown): boolean => Array.isArray(message) && message[1] === String(depth)
      return until(() => client.heard.find(isAnswer))
    }
    await talk(client, [join('1', topic)], 2)
    const depths = [512, 513, 2_000, 3_500, 4_000]
    const statuses: string[] = []
    for (const depth of depths) statuses.push(((await track(depth)) as [0, 0, 0, 0, { status: string }])[4].status)
    expect(statuses).toEqual(['ok', ...depths.slice(1).map(() => 'error')])
    const heard = await talk(other, [join('1', topic)], 2)
    expect(heard.map((message) => (message as unknown[])[3])).toEqual(['phx_reply', 'presence_state'])
  })

  test('only private channels, where that is asked for', async () => {
    const server = await open({ limits: { privateOnly: true } })
    const client = await server.raw()
    await talk(client, [join('1', 'realtime:open'), join('2', 'realtime:open-2', { private: true })], 3)
    expect(client.heard).toContainEqual([
      '1',
      '1',
      'realtime:open',
      'phx_reply',
      { status: 'error', response: { reason: 'PrivateOnly: This project only allows private channels' } },
    ])
    expect(client.heard).toContainEqual(joined('2', 'realtime:open-2'))
  })

  test('RT-3: who reads nothing is cut off, holds no more than its share, and slows nobody', async () => {
    const server = await open({ limits: { maxBufferedBytes: 100_000 } })
    const [deaf, other] = [await server.raw(), await server.raw()]
    const config = { presence: { enabled: false }, postgres_changes: [{ table: 'todos' }] }
    for (const client of [deaf, other]) await talk(client, [join('1', 'realtime:room', config)], 2)
    deaf.ws.pause()
    const text = 'x'.repeat(50_000)
    let most = 0
    // The machine itself takes some megabytes before anybody notices.
    for (let count = 1; count <= 300; count++) {
      server.changes.commit(['INSERT', 'todos', { id: count, text }])
      most = Math.max(most, server.hub.bufferedBytes())
      await until(() => other.heard.length === 2 + count, { intervalMs: 1 })
    }
    await until(() => server.changes.listeners[0]?.closed)
    expect(server.changes.listeners.map(({ closed }) => closed)).toEqual(['mayReturn', false])
    expect(most).toBeLessThan(400_000)
  })
})

describe('broadcasts over HTTP', () => {
  const post = async ({ url, anonKey }: RealtimeServer, path: string, body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}/realtime/v1/api/broadcast${path}`, {
      method: 'POST',
      headers: { apikey: anonKey, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text), headers: response.headers }
  }

  test('reach the channel, in their order, and are answered with nothing', async () => {
    const server = await open()
    const client = await server.raw(`apikey=${server.anonKey}&vsn=1.0.0`)
    await talk(
      client,
      [{ topic: 'realtime:room', event: 'phx_join', payload: { config: { presence: { enabled: false } } }, ref: '1' }],
      1,
    )
    const messages = [1, 2, 3].map((n) => ({ topic: 'room', event: 'n', payload: { n } }))
    expect(await post(server, '', { messages })).toMatchObject({ status: 202, body: undefined })
    await until(() => client.heard.length === 4)
    const numbers = client.heard.slice(1).map((message) => (message as { payload: { payload: { n: number } } }).payload.payload.n)
    expect(numbers).toEqual([1, 2, 3])
  })

  test('what is not as it should be is said field by field', async () => {
    const server = await open({ limits: { maxPayloadBytes: 1000 } })
    const blank = ["can't be blank"]
    expect(await post(server, '', {})).toMatchObject({ status: 422, body: { errors: { messages: blank } } })
    expect(await post(server, '', { messages: 'x' })).toMatchObject({
      status: 422,
      body: { errors: { messages: ['is invalid'] } },
    })
    const messages = [
      { topic: 'a', event: 'b', payload: {} },
      { topic: 5, payload: 'x', private: 'maybe' },
      { topic: 'a', event: 'b', payload: { large: 'x'.repeat(1000) } },
    ]
    expect(await post(server, '', { messages })).toMatchObject({
      status: 422,
      body: {
        errors: {
          messages: [
            {},
            { topic: ['is invalid'], event: blank, payload: ['is invalid'], private: ['is invalid'] },
            { payload: ['Payload size exceeds tenant limit'] },
          ],
        },
      },
    })
    expect(await post(server, '/room/events/x', '')).toMatchObject({ status: 422, body: { errors: { payload: blank } } })
    expect(
      await post(server, '/room/events/x', new Uint8Array(1001), { 'content-type': 'application/octet-stream' }),
    ).toMatchObject({ status: 422 })
    expect((await post(server, '/room/events/x', '{', {})).status).toBe(400)
    expect((await post(server, '', '{')).status).toBe(400)
    expect((await post(server, '/room/events/x', 'x', { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await post(server, '/room', {})).status).toBe(404)
  })

  test('too many are refused', async () => {
    const server = await open({ limits: { httpMessagesPerSecond: 2 } })
    const message = { topic: 'a', event: 'b', payload: {} }
    expect(await post(server, '', { messages: [message, message, message] })).toMatchObject({
      status: 429,
      body: { message: 'Too many messages to broadcast, please reduce the batch size' },
    })
    expect((await post(server, '', { messages: [message, message] })).status).toBe(202)
    expect(await post(server, '', { messages: [message, message] })).toMatchObject({
      status: 429,
      body: { message: 'You have exceeded your rate limit' },
    })
  })

  test('a key is needed; policies decide about private topics, one by one', async () => {
    const server = await open()
    expect((await fetch(`${server.url}/realtime/v1/api/broadcast`, { method: 'POST' })).status).toBe(401)
    expect((await post(server, '', {}, { apikey: 'nonsense' })).status).toBe(401)
    expect((await post(server, '', {}, { authorization: 'Bearer a.b.c' })).status).toBe(401)
    expect(await post(server, '/closed/events/x?private=true', {})).toMatchObject({
      status: 403,
      body: { message: 'Unauthorized' },
    })
    expect((await post(server, '/open/events/x?private=true', {})).status).toBe(202)
    expect((await post(server, '/broken/events/x?private=true', {})).status).toBe(503)
    const message = { event: 'x', payload: {}, private: true }
    const asked = server.messages.asked.length
    const messages = ['closed', 'open', 'open'].map((topic) => ({ ...message, topic }))
    expect((await post(server, '', { messages })).status).toBe(202)
    expect(server.messages.asked.slice(asked).map(({ topic }) => topic)).toEqual(['closed', 'open'])
  })

  test('pages of other origins may call', async () => {
    const { url } = await open()
    const preflight = await fetch(`${url}/realtime/v1/api/broadcast/room/events/x`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.test',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'apikey, content-type',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')).toBe('apikey, content-type')
    expect((await fetch(`${url}/realtime/v1/api/broadcast`, { method: 'POST' })).headers.get('access-control-allow-origin')).toBe(
      '*',
    )
  })
})
