import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Redis } from '../../redis/redis.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useRedis } from '../../testing/redis/use-redis.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { decodeEntry, type StreamEntry } from '../../webhooks/entry.js'
import { readEnvelope } from '../../webhooks/envelope.js'
import { generic, gohighlevel, lofty, rollout, standardWebhooks } from '../../webhooks/providers/providers.js'
import { sample } from '../../webhooks/testing/deliver.js'
import {
  loftySecret,
  rolloutEvent,
  rolloutSecret,
  signRollout,
  startWebhookServer,
  type WebhookServer,
  type WebhookServerOptions,
} from '../testing/use-webhook-server.js'

const database = useDatabase({ template: bootstrappedTemplate })
const db = useClient(database)
const redisServer = useRedis()
const cleanups = useCleanups()

const accepted = { status: 202, body: '{"status":"accepted"}' }
const unbelieved = { status: 401, body: '{"error":"Invalid webhook signature"}' }

const start = async (options: Partial<WebhookServerOptions> = {}): Promise<WebhookServer> => {
  const server = await startWebhookServer({ databaseUrl: testUrl(database.url, 'app'), redisUrl: redisServer.url, ...options })
  cleanups.push(() => server.stop())
  return server
}

const entriesOf = async (redis: Redis, stream = 'webhooks:events'): Promise<readonly StreamEntry[]> => {
  const entries = await redis.command<[Buffer, Buffer[]][]>(['XRANGE', stream, '-', '+'], { buffers: true })
  return entries.flatMap(([, fields]) => decodeEntry(fields) ?? [])
}

const rowsOf = async (where: string, values: readonly unknown[] = []): Promise<Record<string, never>[]> =>
  (await db.query(`select * from public.webhook_events where ${where} order by seq`, [...values])).rows

const count = async (server: WebhookServer, name: string, labels = ''): Promise<number> => {
  const text = await server.metrics.render()
  const line = text.split('\n').find((each) => each.startsWith(`${name}{`) && each.includes(labels))
  return Number(line?.split(' ').at(-1) ?? 0)
}

/** The one server of what changes nothing about it. */
let shared: WebhookServer
beforeAll(async () => {
  shared = await startWebhookServer({ databaseUrl: testUrl(database.url, 'app'), redisUrl: redisServer.url })
})
afterAll(() => shared.stop())

describe('POST /webhooks/{provider} (R65, C11, C12)', () => {
  it('keeps an event in Postgres, appends it, and answers 202; sent again, it is answered and nothing more (HOOK-1)', async () => {
    const eventId = randomUUID()
    const body = rolloutEvent({ eventId, n: 7 }).replace('"n":7', '"n":9007199254740993')
    for (const _ of [1, 2]) expect(await shared.rollout(body)).toMatchObject(accepted)
    const rows = await rowsOf('dedupe_key = $1', [eventId])
    expect(rows).toMatchObject([
      {
        provider: 'rollout',
        tenant: '',
        event_type: 'contact.updated',
        source_type: 'peopleUpdated',
        entity_type: 'contact',
        entity_id: '7',
        lane: 'rollout||contact|7',
        partition: 0,
        status: 'accepted',
        verified: true,
        trust: 'statement',
        headers: { 'content-type': 'application/json' },
      },
    ])
    expect(String(rows[0]!['raw'])).toBe(body)
    const [entry, ...more] = (await entriesOf(shared.redis)).filter(({ id }) => id === rows[0]!['id'])
    expect(more).toEqual([])
    expect(entry).toMatchObject({
      provider: 'rollout',
      type: 'contact.updated',
      seq: BigInt(rows[0]!['seq'] as never),
      whole: undefined,
    })
    expect(readEnvelope(entry!.payload)).toMatchObject({ type: 'contact.updated', data: { eventId, n: '9007199254740993' } })
    const { rows: digits } = await db.query(`select payload #>> '{data,n}' as n from webhook_events where dedupe_key = $1`, [
      eventId,
    ])
    expect(digits).toEqual([{ n: '9007199254740993' }])
    await until(async () => (await rowsOf('dedupe_key = $1 and queued and stream_id is not null', [eventId])).length === 1)
  })

  it('R128: refuses what no key confirms, in one way, and keeps nothing of it', async () => {
    const body = rolloutEvent()
    expect(await shared.post('/webhooks/rollout', body)).toMatchObject(unbelieved)
    expect(await shared.post('/webhooks/rollout', body, signRollout(body, 'other'))).toMatchObject(unbelieved)
    expect(await shared.post('/webhooks/rollout', `${body} `, signRollout(body))).toMatchObject(unbelieved)
    expect(await shared.post('/webhooks/rollout/secret', body)).toMatchObject(unbelieved)
    expect(await rowsOf('raw = $1', [Buffer.from(body)])).toEqual([])
    expect(await count(shared, 'tidemark_webhook_rejected_total', 'reason="bad_signature"')).toBeGreaterThanOrEqual(2)
  })

  it('knows no other provider, no other method, no encoding', async () => {
    expect(await shared.post('/webhooks/unknown', '{}')).toMatchObject({
      status: 404,
      body: '{"error":"Unknown webhook provider"}',
    })
    expect((await fetch(`${shared.url}/webhooks/rollout`)).status).toBe(404)
    const body = rolloutEvent()
    expect(await shared.post('/webhooks/rollout', body, { ...signRollout(body), 'content-encoding': 'gzip' })).toMatchObject({
      status: 415,
    })
    expect(await shared.post('/webhooks/rollout', body, { ...signRollout(body), 'content-encoding': 'identity' })).toMatchObject(
      accepted,
    )
  })

  it('answers 400 to an empty body, and takes any type of content (F15)', async () => {
    expect(await shared.post('/webhooks/rollout', '', signRollout(''))).toMatchObject({
      status: 400,
      body: '{"error":"Empty body"}',
    })
    for (const type of ['text/plain', 'nonsense', 'application/json; charset=utf-16']) {
      const body = rolloutEvent()
      expect(await shared.post('/webhooks/rollout', body, { ...signRollout(body), 'content-type': type })).toMatchObject(accepted)
    }
  })

  it.each([
    ['broken JSON', Buffer.from('{"eventId":'), 'it is not JSON'],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'it is not UTF-8'],
    ['UTF-16', Buffer.from('\ufeff{"eventId":"1"}', 'utf16le'), 'it is not UTF-8'],
    ['JSON nested 10,000 deep', Buffer.from('['.repeat(10_000) + ']'.repeat(10_000)), 'it is nested deeper than 100'],
  ])('keeps %s that was signed, as a dead letter that nobody need send again (F12, F15)', async (_name, raw, reason) => {
    for (const _ of [1, 2]) expect(await shared.post('/webhooks/rollout', raw, signRollout(raw))).toMatchObject(accepted)
    expect(await rowsOf('raw = $1', [raw])).toMatchObject([
      { status: 'dead', dead_reason: 'unparseable', error: reason, payload: null, event_type: 'unknown' },
    ])
    expect(await shared.post('/webhooks/rollout', raw)).toMatchObject(unbelieved)
    expect(await rowsOf('raw = $1', [raw])).toHaveLength(1)
  })

  it('tells those who watch Redis of dead letters, and puts none of them into the stream', async () => {
    const raw = Buffer.from(`{"broken":"${randomUUID()}`)
    await shared.post('/webhooks/rollout', raw, signRollout(raw))
    const [row] = await rowsOf('raw = $1', [raw])
    const errors = await until(async () => {
      const entries = await shared.redis.command<[string, string[]][]>(['XRANGE', 'webhooks:errors', '-', '+'])
      return entries.find(([, fields]) => fields.includes(String(row!['id'])))
    })
    expect(errors[1]).toContain('it is not JSON')
    expect((await entriesOf(shared.redis)).some(({ id }) => id === row!['id'])).toBe(false)
  })

  it('keeps what Postgres cannot hold as JSON, next to the others of its group', async () => {
    const bodies = [rolloutEvent({ name: '\u0000\ud800' }), rolloutEvent({ name: 'ordinary' }), rolloutEvent({ name: 'Zoë 🎉' })]
    const answers = await Promise.all(bodies.map((body) => shared.rollout(body)))
    expect(answers).toMatchObject([accepted, accepted, accepted])
    const names = await db.query(`select payload #>> '{data,name}' as name, raw from webhook_events where raw = any($1)`, [
      bodies.map((body) => Buffer.from(body)),
    ])
    expect(names.rows.map(({ name }) => name).sort()).toEqual(['Zoë 🎉', 'ordinary', '��'].sort())
  })

  it('leaves names alone that mean something to JavaScript (F12)', async () => {
    const body = `{"eventId":"${randomUUID()}","event":"constructor","resourceIds":["__proto__"],"__proto__":{"polluted":1}}`
    expect(await shared.rollout(body)).toMatchObject(accepted)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    expect(await rowsOf('raw = $1', [Buffer.from(body)])).toMatchObject([{ event_type: 'unknown', entity_id: '__proto__' }])
  })
})

describe('providers without a signature', () => {
  it('show a secret in the path, which is in no log; what they say is a hint (SEC-2)', async () => {
    const body = sample('lofty/precision.json')
    expect(await shared.post(`/webhooks/lofty/${loftySecret}`, body)).toMatchObject(accepted)
    expect(await shared.post('/webhooks/lofty/wrong-secret-of-somebody', body)).toMatchObject(unbelieved)
    expect(await shared.post('/webhooks/lofty', body)).toMatchObject(unbelieved)
    await shared.post(`/webhooks/lofty/${loftySecret}/more`, body)
    await shared.post(`/webhooks/lofty/${loftySecret}?x=1`, rolloutEvent())
    const log = await until(() => {
      const text = shared.logged.join('')
      return text.includes('/webhooks/lofty/***') && text
    })
    expect(log).not.toContain(loftySecret)
    expect(log).not.toContain('wrong-secret-of-somebody')
    expect(await rowsOf('provider = $1 and raw = $2', ['lofty', body])).toMatchObject([
      { tenant: '13233324', entity_id: '9007199254740993', verified: false, trust: 'hint', event_type: 'contact.updated' },
    ])
  })

  it('bring lists of events, each a row of its own and in their order', async () => {
    const team = '99'
    const events = Array.from({ length: 1200 }, (_, n) => `{"teamId":${team},"leadId":9007199254740993,"updateTime":${n}}`)
    expect(await shared.post(`/webhooks/lofty/${loftySecret}`, `[${events.join(', ')}]`)).toMatchObject(accepted)
    const rows = await rowsOf('tenant = $1', [team])
    expect(rows.map((row) => String(row['raw']))).toEqual(events)
    expect(new Set(rows.map((row) => row['lane']))).toEqual(new Set(['lofty|99|contact|9007199254740993']))
  })

  it('are answered 400 for broken JSON: what nobody vouches for is not kept', async () => {
    const raw = Buffer.from('{"leadId":')
    expect(await shared.post(`/webhooks/lofty/${loftySecret}`, raw)).toMatchObject({
      status: 400,
      body: '{"error":"Malformed JSON"}',
    })
    expect(await shared.post(`/webhooks/lofty/${loftySecret}`, '['.repeat(10_000))).toMatchObject({ status: 400 })
    expect(await rowsOf('raw = $1', [raw])).toEqual([])
  })
})

describe('time windows and replays (F9)', () => {
  const pair = generateKeyPairSync('ed25519')
  const providers = [
    { ...gohighlevel(), tenants: ['loc'], keys: [{ key: pair.publicKey.export({ type: 'spki', format: 'pem' }) as string }] },
  ]
  const minutes = (n: number) => new Date(Date.now() + n * 60_000).toISOString()
  const send = (server: WebhookServer, event: object) => {
    const body = JSON.stringify({ type: 'ContactCreate', locationId: 'loc', id: 'c1', ...event })
    return server.post('/webhooks/gohighlevel', body, {
      'x-ghl-signature': sign(null, Buffer.from(body), pair.privateKey).toString('base64'),
    })
  }

  it('takes an event within the window once, and nothing that is older or of the future', async () => {
    const server = await start({ providers })
    const fresh = { webhookId: randomUUID(), timestamp: minutes(-80) }
    for (const _ of [1, 2]) expect(await send(server, fresh)).toMatchObject(accepted)
    expect(await rowsOf('dedupe_key = $1', [fresh.webhookId])).toHaveLength(1)
    expect(await send(server, { webhookId: randomUUID(), timestamp: minutes(-91) })).toMatchObject(unbelieved)
    expect(await send(server, { webhookId: randomUUID(), timestamp: minutes(5.1) })).toMatchObject(unbelieved)
    const withoutId = { timestamp: minutes(-1), n: randomUUID() }
    for (const _ of [1, 2]) expect(await send(server, withoutId)).toMatchObject(accepted)
    expect(await rowsOf(`payload #>> '{data,n}' = $1`, [withoutId.n])).toHaveLength(1)
    expect(await send(server, { webhookId: randomUUID(), locationId: 'foreign' })).toMatchObject(unbelieved)
  })

  it('tells of a clock that is wrong, instead of refusing everything in silence', async () => {
    const clock = {
      now: () => Date.now() - 10 * 60_000,
      monotonicMs: () => performance.now(),
      sleep: async () => undefined,
    }
    const server = await start({ providers, clock })
    for (let n = 0; n < 6; n++)
      expect(await send(server, { webhookId: randomUUID(), timestamp: minutes(0) })).toMatchObject(unbelieved)
    const signal = await until(() => server.signals.find(({ name }) => name === 'webhooks.clock_skew'))
    expect(signal).toMatchObject({ severity: 'critical', subject: 'gohighlevel', details: { seconds: 600 } })
    expect(server.signals.filter(({ name }) => name === 'webhooks.clock_skew')).toHaveLength(1)
  })

  it('refuses stale times of Standard Webhooks', async () => {
    const key = Buffer.from('standard').toString('base64')
    const server = await start({ providers: [{ ...standardWebhooks(), keys: [{ key }] }] })
    const { createHmac } = await import('node:crypto')
    const at = (seconds: number) => {
      const id = `msg_${randomUUID()}`
      const time = String(Math.floor(Date.now() / 1000) + seconds)
      const body = '{"type":"contact.created"}'
      const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${id}.${time}.${body}`).digest('base64')
      const headers = { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': `v1,${signature}` }
      return server.post('/webhooks/standard-webhooks', body, headers)
    }
    expect(await at(-290)).toMatchObject(accepted)
    expect(await at(-302)).toMatchObject(unbelieved)
    expect(await at(302)).toMatchObject(unbelieved)
  })
})

describe('accounts with keys of their own (F11)', () => {
  it('are told apart, and one that is unknown is answered as a wrong signature is', async () => {
    const keys = [
      { id: 'a', key: 'secret-a', tenant: 'a' },
      { id: 'b', key: 'secret-b', tenant: 'b' },
    ]
    const provider = generic({
      name: 'crm',
      signature: { header: 'x-sign', input: 'base64' },
      fields: { tenant: 'account', id: 'id' },
    })
    const server = await start({ providers: [{ ...provider, keys }] })
    const send = (account: string, secret: string, id = randomUUID()) => {
      const body = JSON.stringify({ account, id })
      return server.post('/webhooks/crm', body, { 'x-sign': signRollout(body, secret)['x-rollout-signature']! })
    }
    const id = randomUUID()
    expect(await send('a', 'secret-a', id)).toMatchObject(accepted)
    expect(await send('b', 'secret-b', id)).toMatchObject(accepted)
    expect(await rowsOf('dedupe_key = $1', [id])).toMatchObject([{ tenant: 'a' }, { tenant: 'b' }])
    const refused = [await send('b', 'secret-a'), await send('c', 'secret-a'), await send('a', 'wrong')]
    expect(refused).toMatchObject([unbelieved, unbelieved, unbelieved])
  })
})

describe('bodies that are too much (F14)', () => {
  /** What comes back over a bare connection. */
  const talk = (server: WebhookServer, write: (socket: ReturnType<typeof connect>) => void): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(server.port, '127.0.0.1')
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString()
      })
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(text))
      write(socket)
    })
  const head = (length: string) =>
    `POST /webhooks/rollout HTTP/1.1\r\nhost: x\r\nx-rollout-signature: ${'a'.repeat(64)}\r\n${length}\r\n\r\n`

  it('are refused by what they say of their length, before they are read, and the connection ends', async () => {
    const answer = await talk(shared, (socket) => socket.write(head(`content-length: ${10 * 1024 ** 2}`)))
    expect(answer).toMatch(/^HTTP\/1.1 413 /)
    expect(answer).toMatch(/connection: close/i)
  })

  it('are read no further than the limit where they say nothing; two hundred at once take little memory', async () => {
    const chunk = Buffer.alloc(16_384, 'a')
    const chunked = () =>
      talk(shared, (socket) => {
        socket.write(head('transfer-encoding: chunked'))
        const more = () => {
          if (socket.destroyed || !socket.writable) return
          socket.write(Buffer.concat([Buffer.from('4000\r\n'), chunk, Buffer.from('\r\n')]), more)
        }
        more()
      })
    expect(await chunked()).toMatch(/^HTTP\/1.1 413 /)
    const before = process.memoryUsage().rss
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => talk(shared, (socket) => socket.write(head(`content-length: ${10 * 1024 ** 2}`)))),
    )
    expect(answers.every((answer) => answer.startsWith('HTTP/1.1 413 '))).toBe(true)
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 * 1024 ** 2)
  })

  it('are cut off where they come too slowly', async () => {
    const server = await start({ bodyTimeoutMs: 300 })
    const answer = await talk(server, (socket) => socket.write(`${head('content-length: 100')}{"a"`))
    expect(answer).toMatch(/^HTTP\/1.1 408 /)
  })
})

describe('senders of wrong signatures (F21)', () => {
  it('are refused without a look after too many; nobody else is', async () => {
    const server = await start({ failuresPerMinute: 5, ipHeader: 'x-real-ip' })
    const body = rolloutEvent()
    const from = (ip: string, secret: string) =>
      server.post('/webhooks/rollout', body, { ...signRollout(body, secret), 'x-real-ip': ip })
    for (let n = 0; n < 6; n++) expect((await from('203.0.113.9', 'wrong')).status).toBe(401)
    const refused = await from('203.0.113.9', rolloutSecret)
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await from('203.0.113.10', rolloutSecret)).toMatchObject(accepted)
    for (let n = 0; n < 8; n++) expect((await from('10.0.0.1', 'wrong')).status).toBe(401)
    expect(await from('10.0.0.1', rolloutSecret)).toMatchObject(accepted)
  })
})

describe('names without a provider of their own', () => {
  it('are taken by the generic one where there is one (R66)', async () => {
    const server = await start({ providers: [{ ...generic(), keys: [{ key: loftySecret }] }] })
    const n = randomUUID()
    const body = JSON.stringify({ event_type: 'thing.happened', timestamp: '2026-11-21T10:00:00Z', n })
    expect(await server.post(`/webhooks/acme/${loftySecret}`, body)).toMatchObject(accepted)
    const [row] = await rowsOf(`payload #>> '{data,n}' = $1`, [n])
    expect(row).toMatchObject({ provider: 'acme', event_type: 'thing.happened', trust: 'hint' })
    expect(row!['payload']).toMatchObject({
      provider: 'acme',
      type: 'thing.happened',
      timestamp: '2026-11-21T10:00:00.000Z',
      data: { n },
    })
    expect(await server.post(`/webhooks/Not a name/${loftySecret}`, body)).toMatchObject({ status: 404 })
  })
})

describe('providers whose configuration is wrong', () => {
  it('keep the server from starting', async () => {
    await expect(start({ providers: [rollout()] })).rejects.toMatchObject({ code: 'TM_WEBHOOKS_NO_KEY' })
    await expect(start({ providers: [{ ...lofty(), keys: [{ key: 'short' }] }] })).rejects.toMatchObject({
      code: 'TM_WEBHOOKS_BAD_KEY',
    })
  })
})
