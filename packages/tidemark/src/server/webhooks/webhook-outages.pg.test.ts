import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createRedis } from '../../redis/create-redis.js'
import type { Redis } from '../../redis/redis.js'
import { bootstrappedTemplate, testUrl } from '../../schema/testing/bootstrapped-template.js'
import { acquirePort } from '../../state/state.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { startTestRedis, type TestRedis, type TestRedisOptions } from '../../testing/redis/redis-server.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { decodeEntry } from '../../webhooks/entry.js'
import { gohighlevel } from '../../webhooks/providers/providers.js'
import {
  rolloutEvent,
  startWebhookServer,
  testProviders,
  type WebhookServer,
  type WebhookServerOptions,
} from '../testing/use-webhook-server.js'

const database = useDatabase({ template: bootstrappedTemplate })
const db = useClient(database)
const cleanups = useCleanups()

const accepted = { status: 202, body: '{"status":"accepted"}' }

const redisOf = async (options: TestRedisOptions = {}): Promise<TestRedis> => {
  const server = await startTestRedis(options)
  cleanups.push(() => server.stop())
  return server
}

const start = async (options: Partial<WebhookServerOptions>): Promise<WebhookServer> => {
  const server = await startWebhookServer({ databaseUrl: testUrl(database.url, 'app'), ...options })
  cleanups.push(() => server.stop())
  // What one test left behind is nothing to the next.
  cleanups.push(() => db.query('update tidemark.webhook_partitions set spooling = false'))
  return server
}

/** A Postgres that nobody reaches. */
const nowhere = async (): Promise<string> => `postgresql://nobody@127.0.0.1:${await acquirePort()}/none`

const send = async (server: WebhookServer, id: string = randomUUID()) => ({
  id,
  answer: await server.rollout(rolloutEvent({ eventId: id, resourceIds: [id] })),
})

const wholeOf = async (redis: Redis) => {
  const entries = await redis.command<[Buffer, Buffer[]][]>(['XRANGE', 'webhooks:events', '-', '+'], { buffers: true })
  return entries.map(([, fields]) => decodeEntry(fields)!)
}

const rowOf = async (id: string) => (await db.query('select * from webhook_events where dedupe_key = $1', [id])).rows
const spooling = async () => (await db.query('select partition from tidemark.webhook_partitions where spooling order by 1')).rows

describe('without Redis', () => {
  it('rows are what waits (C61)', async () => {
    const server = await start({})
    const { id, answer } = await send(server)
    expect(answer).toMatchObject(accepted)
    expect(await rowOf(id)).toMatchObject([{ status: 'accepted', queued: false, stream_id: null }])
    expect(await spooling()).toEqual([])
  })
})

describe.each(['postgres', 'redis'] as const)('with durability %s', (durability) => {
  it('events wait in Postgres once Redis is away, and go on waiting there when it is back until somebody has drained them', async () => {
    const redis = await redisOf()
    const server = await start({ redisUrl: redis.url, durability })
    expect((await send(server)).answer).toMatchObject(accepted)
    redis.signal('SIGKILL')
    const during = await send(server)
    expect(during.answer).toMatchObject(accepted)
    expect(await rowOf(during.id)).toMatchObject([{ status: 'accepted', queued: false }])
    expect(await spooling()).toEqual([{ partition: 0 }])
    await until(() => server.signals.some(({ name }) => name === 'webhooks.spooling'))

    const again = await startTestRedis({ port: redis.port })
    cleanups.push(() => again.stop())
    await until(() => server.redis.state === 'up')
    const after = await send(server)
    expect(after.answer).toMatchObject(accepted)
    expect(await rowOf(after.id)).toMatchObject([{ queued: false }])
    expect(await server.redis.command(['EXISTS', 'webhooks:events'])).toBe(0)

    await db.query('update tidemark.webhook_partitions set spooling = false')
    await until(async () => {
      const { id } = await send(server)
      return (await wholeOf(server.redis)).some(
        (entry) => entry.id === id || entry.whole?.dedupeKey === id || entry.payload.includes(id),
      )
    })
  })

  it('events that neither store takes are refused so that they are sent again (F3)', async () => {
    const redis = await redisOf()
    const pair = await import('node:crypto').then(({ generateKeyPairSync }) => generateKeyPairSync('ed25519'))
    const ghl = { ...gohighlevel(), keys: [{ key: pair.publicKey.export({ type: 'spki', format: 'pem' }) as string }] }
    const server = await start({
      redisUrl: redis.url,
      durability,
      databaseUrl: await nowhere(),
      storeTimeoutMs: 300,
      providers: [...testProviders(), ghl],
    })
    redis.signal('SIGKILL')
    await until(() => server.redis.state === 'down')
    const { answer } = await send(server)
    expect(answer).toMatchObject({ status: 503, body: '{"error":"Temporarily unavailable"}' })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    const { sign } = await import('node:crypto')
    const signature = sign(null, Buffer.from('{}'), pair.privateKey).toString('base64')
    expect((await server.post('/webhooks/gohighlevel', '{}', { 'x-ghl-signature': signature })).status).toBe(429)
    await until(() => server.signals.some(({ name }) => name === 'webhooks.refused'))
  })
})

describe('with Postgres away', () => {
  it('the stream takes whole events, each once, from which workers make the rows (F6)', async () => {
    const redis = await redisOf()
    const server = await start({ redisUrl: redis.url, databaseUrl: await nowhere(), storeTimeoutMs: 500 })
    const id = randomUUID()
    for (const _ of [1, 2]) expect((await send(server, id)).answer).toMatchObject(accepted)
    expect((await send(server)).answer).toMatchObject(accepted)
    // It is not asked again for each event.
    expect(server.logged.filter((line) => line.includes('Postgres could not take events'))).toHaveLength(1)
    const entries = await wholeOf(server.redis)
    expect(entries).toHaveLength(2)
    expect(entries[0]).toMatchObject({ seq: undefined, whole: { dedupeKey: id, verified: true, trust: 'statement' } })
    expect(entries[0]!.whole!.raw.toString()).toContain(id)
    const text = await server.metrics.render()
    expect(text).toContain('tidemark_webhook_duplicate_total{provider="rollout"} 1')
    expect(text).toContain('tidemark_webhook_stored_total{provider="rollout",store="redis"} 2')
  })
})

describe('with a Postgres that takes connections and says nothing', () => {
  it.each(['postgres', 'redis'] as const)('one group waits for it at most, durability %s (F6)', async (durability) => {
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => void sockets.add(socket))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy()
      silent.close()
    })
    const redis = await redisOf()
    const databaseUrl = `postgresql://nobody@127.0.0.1:${(silent.address() as AddressInfo).port}/none`
    const server = await start({ redisUrl: redis.url, databaseUrl, durability, storeTimeoutMs: 500 })
    expect((await send(server)).answer).toMatchObject(accepted)
    const tookMs: number[] = []
    // Postgres is asked twice a second, behind the back of those who send.
    const endsAt = performance.now() + (durability === 'postgres' ? 1500 : 4000)
    while (performance.now() < endsAt) {
      const startedAt = performance.now()
      expect((await send(server)).answer).toMatchObject(accepted)
      tookMs.push(performance.now() - startedAt)
      await until(() => performance.now() - startedAt > 100)
    }
    const gaveUp = server.logged.filter((line) => line.includes('Postgres could not take events'))
    expect(gaveUp).toHaveLength(durability === 'postgres' ? 1 : 0)
    // A busy machine is slow now and then; where groups wait to know who spools, one in every second does.
    if (durability === 'redis') expect(tookMs.filter((ms) => ms > 400).length).toBeLessThanOrEqual(2)
  })

  it('is used again as soon as it answers', async () => {
    const redis = await redisOf()
    const server = await start({ redisUrl: redis.url })
    await db.query('alter table public.webhook_events rename to elsewhere')
    const during = await send(server)
    await db.query('alter table public.elsewhere rename to webhook_events')
    expect(during.answer).toMatchObject(accepted)
    expect(await rowOf(during.id)).toEqual([])
    await until(async () => {
      const { id } = await send(server)
      return (await rowOf(id)).length === 1
    })
  })
})

describe('durability redis', () => {
  it('answers after one step of Redis that remembers the id and appends; nothing is in Postgres yet', async () => {
    const redis = await redisOf()
    const server = await start({ redisUrl: redis.url, durability: 'redis' })
    const id = randomUUID()
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(server, id)))
    expect(answers.every(({ answer }) => answer.status === 202)).toBe(true)
    expect(await rowOf(id)).toEqual([])
    expect(await wholeOf(server.redis)).toHaveLength(1)
    const [key] = await server.redis.command<string[]>(['KEYS', '{webhooks:events}:dedupe:*'])
    expect(key).toBe(`{webhooks:events}:dedupe:rollout||${id}`)
    expect(await server.redis.command<number>(['PTTL', key!])).toBeGreaterThan(86_000_000)
  })

  it('forgets an id whose entry Redis refused, so that the next try counts (F8)', async () => {
    const redis = await redisOf()
    const server = await start({ redisUrl: redis.url, durability: 'redis', databaseUrl: await nowhere(), storeTimeoutMs: 300 })
    await server.redis.command(['SET', 'webhooks:events', 'no stream'])
    const id = randomUUID()
    expect((await send(server, id)).answer.status).toBe(503)
    await server.redis.command(['DEL', 'webhooks:events'])
    expect((await send(server, id)).answer).toMatchObject(accepted)
    expect(await wholeOf(server.redis)).toHaveLength(1)
  })

  it('spreads lanes over its partitions, and keeps each in one', async () => {
    const redis = await redisOf()
    const server = await start({ redisUrl: redis.url, durability: 'redis', partitions: 4 })
    for (let n = 0; n < 24; n++) await server.rollout(rolloutEvent({ resourceIds: [String(n % 12)] }))
    const seen = new Map<string, number>()
    for (const partition of [0, 1, 2, 3]) {
      const entries = await server.redis.command<[Buffer, Buffer[]][]>(['XRANGE', `webhooks:events:${partition}`, '-', '+'], {
        buffers: true,
      })
      for (const [, fields] of entries) {
        const { lane } = decodeEntry(fields)!
        expect(seen.get(lane) ?? partition).toBe(partition)
        seen.set(lane, partition)
      }
    }
    expect(seen.size).toBe(12)
    expect(new Set(seen.values()).size).toBeGreaterThan(1)
  })

  it('is refused where Redis may drop what is in it', async () => {
    const redis = await redisOf({ args: ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'] })
    const opened = start({ redisUrl: redis.url, durability: 'redis' })
    await expect(opened).rejects.toMatchObject({ code: 'TM_WEBHOOKS_EVICTION' })
  })
})

describe('the memory of Redis (F16)', () => {
  const fill = async (url: string): Promise<void> => {
    const redis = await createRedis({ url })
    const limit = 12 * 1024 ** 2
    await redis.command(['CONFIG', 'SET', 'maxmemory', limit])
    for (let n = 0; ; n++) {
      const info = await redis.command<string>(['INFO', 'memory'])
      if (Number(/used_memory:(\d+)/.exec(info)![1]) > limit * 0.92) break
      await redis.command(['SET', `ballast:${n}`, 'x'.repeat(200_000)])
    }
    await redis.stop()
  }

  it('is watched: at 90 % events are refused in mode redis and wait in Postgres in mode postgres', async () => {
    const redis = await redisOf({ args: ['--maxmemory-policy', 'noeviction'] })
    await fill(redis.url)
    const quick = await start({ redisUrl: redis.url, durability: 'redis' })
    expect((await send(quick)).answer.status).toBe(503)
    await until(() => quick.signals.some(({ name }) => name === 'webhooks.memory_full'))
    const sure = await start({ redisUrl: redis.url })
    const { id, answer } = await send(sure)
    expect(answer).toMatchObject(accepted)
    expect(await rowOf(id)).toMatchObject([{ queued: false }])
    expect(await spooling()).toEqual([{ partition: 0 }])
    expect(await sure.redis.command<number>(['DBSIZE'])).toBeGreaterThan(40)
  })
})

describe('the end of a spool', () => {
  it('cannot overtake an event that is being stored: who ends it waits for its row (soundness 28)', async () => {
    const server = await start({})
    await db.query(
      'insert into tidemark.webhook_partitions (partition, spooling) values (0, true) on conflict (partition) do update set spooling = true',
    )
    const { insertEvents } = await import('../../webhooks/intake/insert-events.js')
    const [event] = await (async () => {
      const { acceptedEvent, understand } = await import('../../webhooks/intake/understand.js')
      const raw = Buffer.from(rolloutEvent())
      const [provider] = testProviders()
      const head = { header: () => undefined, pathSecret: undefined }
      const text = raw.toString()
      const understood = understand(provider!, head, { ok: true, value: JSON.parse(text), text, verbatim: true }, raw)
      const arrival = {
        provider: 'rollout',
        tenant: '',
        verified: true,
        trust: 'statement' as const,
        signedAtMs: undefined,
        receivedAtMs: Date.now(),
        headers: {},
        partitions: 1,
      }
      return (understood as Exclude<typeof understood, string>).map((each) => acceptedEvent(each, arrival, randomUUID()))
    })()
    await db.query('begin')
    try {
      await db.query('select 1 from tidemark.webhook_partitions where partition = 0 for update')
      const inserting = insertEvents(server.pool, [event!], AbortSignal.timeout(10_000))
      await until(async () => {
        const { rows } = await db.query(
          `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%webhook_partitions%'`,
        )
        return rows.length > 0
      })
      await db.query('update tidemark.webhook_partitions set spooling = false where partition = 0')
      await db.query('commit')
      expect([...(await inserting).values()]).toMatchObject([{ spooling: false }])
    } finally {
      await db.query('rollback')
    }
  })
})
