/** What asks Redis, on a Redis Cluster of three masters. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { alertsChannel } from '../alerts/alerts.js'
import { createHintChannel } from '../alerts/channels/inner-channels.js'
import type { LoadClient } from '../cache/cache.js'
import { cached } from '../cache/cached.js'
import type { OpenCache } from '../cache/open-cache.js'
import { untilUp, useNodes } from '../cache/testing/use-nodes.js'
import { streamKey } from '../feed/fan-out/stream/stream-keys.js'
import type { Position } from '../feed/position.js'
import { createMetrics } from '../observability/metrics.js'
import { silentLogger } from '../observability/observability.js'
import { openTopics } from '../realtime/topics/open-topics.js'
import { createSharedCircuits } from '../redis/breakers.js'
import { slotOf } from '../redis/cluster/slots.js'
import { createRedis } from '../redis/create-redis.js'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { createSharedLimiterStore } from '../redis/limits.js'
import type { Redis } from '../redis/redis.js'
import { createBreakers } from '../resilience/breaker/create-breakers.js'
import { createLimiter } from '../resilience/limiter.js'
import { bootstrappedTemplate, testUrl } from '../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../testing/postgres/use-database.js'
import { useCluster } from '../testing/redis/use-cluster.js'
import { useCleanups } from '../testing/use-cleanups.js'
import { until } from '../time/until.js'
import { openTestWorkers } from '../webhooks/testing/use-workers.js'
import { partitionKeys } from '../webhooks/webhooks.js'
import { checkRedis } from './operations/doctor/doctor-redis.js'
import type { Project } from './project/project.js'
import { rolloutEvent, startWebhookServer } from './testing/use-webhook-server.js'

const numberOf = async (db: LoadClient, id: unknown): Promise<number | null> =>
  (await db.query<{ n: number }>('select n from things where id = $1', [id])).rows[0]?.n ?? null

const thing = (name: 'thing' | 'shared', maxBytes?: number) =>
  cached(`${name}:{id}`, {
    ttl: '5m',
    from: { things: 'id' },
    load: ({ id }, db: LoadClient) => numberOf(db, id),
    ...(maxBytes !== undefined && { maxBytes }),
  })

/** `shared` is in Redis alone. */
const entries = { thing: thing('thing'), shared: thing('shared', 0) }
type Node = OpenCache<typeof entries>

describe.skipIf((await findRedisServer()) === undefined)('on a Redis Cluster', () => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const client = useClient(database)
  const cluster = useCluster()
  const nodes = useNodes({ database, redis: cluster })
  const cleanups = useCleanups()

  beforeAll(async () => {
    await client.query(`create table things (id int primary key, n int);
      create table effects (place bigint generated always as identity primary key, event uuid, entity text, partition int);
      grant all on effects to tidemark_app`)
  })

  const connect = async (): Promise<Redis> => {
    const redis = await createRedis({ url: cluster.url, retryMaxMs: 50 })
    cleanups.push(() => redis.stop())
    return redis
  }

  it('caches of two nodes are filled, shared and purged on every master (CACHE-1, CACHE-4)', async () => {
    await client.query('insert into things select id, 1 from generate_series(1, 200) id')
    const [one, other] = [await nodes.open(entries), await nodes.open(entries)]
    const params = Array.from({ length: 200 }, (_, n) => ({ id: n + 1 }))
    /** Not all at once: each is a load of its own, and who waits too long for a connection is refused. */
    const all = async (entry: Node['entries']['shared' | 'thing'], options?: { readonly after: Position }) => {
      const found = new Set<number | null>()
      for (let at = 0; at < params.length; at += 20)
        for (const n of await entry.getMany(params.slice(at, at + 20), options)) found.add(n)
      return [...found]
    }
    expect(await all(one.entries.shared)).toEqual([1])
    const redis = await connect()
    const stored = () => redis.command<(string | null)[]>(['MGET', ...params.map((each) => one.entries.shared.key(each))])
    await until(async () => (await stored()).every((frame) => frame !== null), { what: 'All values in Redis' })
    // A node that is not proven fresh just now asks Postgres: then it is the turn of the next thirty.
    let from = 0
    await until(
      async () => {
        const some = params.slice(from, from + 30)
        from += 30
        expect(some).toHaveLength(30)
        const found = await Promise.all(some.map((each) => other.entries.shared.lookup(each)))
        expect(found.map(({ value }) => value)).toEqual(some.map(() => 1))
        return found.every(({ source }) => source === 'redis')
      },
      { intervalMs: 500 },
    )
    const { position } = await one.write((tx) => tx.query('update things set n = 2'))
    for (const node of [one, other]) {
      expect(await all(node.entries.shared, { after: position })).toEqual([2])
      expect(await all(node.entries.thing, { after: position })).toEqual([2])
    }
  })

  it('limits and breakers are those of all processes', async () => {
    const redis = await connect()
    const [store, second] = [createSharedLimiterStore({ redis }), createSharedLimiterStore({ redis: await connect() })]
    cleanups.push(() => store.stop())
    cleanups.push(() => second.stop())
    for (const algorithm of ['log', 'ring', 'gcra'] as const) {
      const rule = { name: `l-${algorithm}`, limit: 3, burst: 3, windowMs: 60_000, algorithm }
      const limiters = [createLimiter({ ...rule, store }), createLimiter({ ...rule, store: second })]
      const taken = await Promise.all(Array.from({ length: 40 }, (_, n) => limiters[n % 2]!.take(`k${n % 10}`)))
      expect(taken.filter(({ allowed, by }) => allowed && by === 'counted')).toHaveLength(30)
    }
    const join = async () => {
      const shared = createSharedCircuits({ redis: await connect(), prefix: '{app}:' })
      const breakers = createBreakers({ shared, random: () => 0 })
      cleanups.push(() => shared.stop())
      cleanups.push(() => breakers.stop())
      return breakers.breaker('crm', { recoveryTimeoutMs: 60_000, minCalls: 5 })
    }
    const [here, there] = [await join(), await join()]
    const fail = () => Promise.reject(new Error('connect ECONNREFUSED'))
    await until(
      async () => {
        for (const breaker of [here, there]) await breaker.run(fail).catch(() => undefined)
        return here.read().state === 'OPEN' && there.read().state === 'OPEN'
      },
      { what: 'Both breakers open', intervalMs: 50, timeoutMs: 20_000 },
    )
    expect(await redis.command(['HGET', '{app}:reanna:circuit:crm', 'state'])).toBe('OPEN')
  })

  it.each(['postgres', 'redis'] as const)(
    'HOOK-1, HOOK-2: webhooks of several partitions, kept in %s, take effect once and in order',
    async (durability) => {
      const partitions = 6
      await client.query('truncate effects, webhook_events, tidemark.webhook_partitions, tidemark.webhook_workers')
      const url = testUrl(database.url, 'app')
      const server = await startWebhookServer({ databaseUrl: url, redisUrl: cluster.url, partitions, durability })
      cleanups.push(() => server.stop())
      const open = () =>
        openTestWorkers(cleanups, cluster.url, {
          url: database.url,
          partitions,
          on: {
            '*': async ({ id, entity }, { db }) => {
              await db.query('insert into effects (event, entity) values ($1, $2)', [id, entity?.externalId ?? ''])
            },
          },
        })
      const [first, second] = [await open(), await open()]
      await until(() => [first, second].every(({ workers }) => workers.state.owned.length === 3), { timeoutMs: 20_000 })
      const bodies = Array.from({ length: 60 }, (_, n) => rolloutEvent({ resourceIds: [String(n % 20)] }))
      for (const body of [...bodies, ...bodies.slice(0, 10)]) expect((await server.rollout(body)).status).toBe(202)
      await until(async () => (await client.query('select from effects')).rowCount === 60, { timeoutMs: 20_000 })
      await Promise.all([first, second].map(({ workers }) => workers.idle()))
      const { rows } = await client.query('select count(*)::int as n, count(distinct event)::int as events from effects')
      expect(rows[0]).toEqual({ n: 60, events: 60 })
      const late = await client.query(
        `select from effects one join effects other on one.entity = other.entity and one.place < other.place
         join webhook_events before on before.id = one.event join webhook_events after on after.id = other.event
        where before.received_at > after.received_at`,
      )
      expect(late.rowCount).toBe(0)
      const masters = Array.from({ length: partitions }, (_, n) => Math.floor(slotOf(partitionKeys(n, partitions).stream) / 5462))
      expect(new Set(masters).size).toBeGreaterThan(1)
      await Promise.all([first, second].map(({ workers }) => workers.stop()))
    },
  )

  it('realtime reaches all nodes in order, and presence is known to each (R107)', async () => {
    const open = async () => {
      const redis = await connect()
      const topics = await openTopics({ redis, connect, prefix: 'p', log: silentLogger, metrics: createMetrics() })
      cleanups.push(() => topics.stop())
      return topics
    }
    const [one, two] = [await open(), await open()]
    const heard: string[] = []
    const listener = {
      id: randomUUID(),
      message: ({ body }: { body: Buffer }) => void heard.push(String(body)),
      presence: () => {},
      gap: () => {},
    }
    const member = two.subscribe('room', listener)
    const texts = Array.from({ length: 200 }, (_, n) => `message ${n}`)
    for (const text of texts) await one.publish({ topic: 'room', body: Buffer.from(text) })
    await until(() => heard.length === 200)
    expect(heard).toEqual(texts)
    await member.track('bob', { n: 1 })
    await until(() => one.presence('room').has('bob'))
    expect(await one.count('room')).toBe(1)
  })

  it('alerts are published to who listens', async () => {
    const [redis, listening] = [await connect(), await connect()]
    const heard: string[] = []
    await listening.subscribe([alertsChannel], (message) => void heard.push(message))
    const alert = { id: randomUUID(), message: 'The CRM fails.', startedAtMs: 0 }
    await createHintChannel('hint', redis).send({ items: [{ alert }] } as never, new AbortController().signal)
    await until(() => heard.length === 1)
    expect(heard[0]).toContain('The CRM fails.')
  })

  it('R120: the doctor names the masters, and what is wrong at which', async () => {
    const project = { config: { redis: { url: cluster.url } } } as Project
    const found = async () => new Map((await checkRedis(project)).map(({ check, message }) => [check, message]))
    const [one] = cluster.masters
    await cluster.ask(one!, ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru'])
    const findings = await found()
    await cluster.ask(one!, ['CONFIG', 'SET', 'maxmemory-policy', 'noeviction'])
    expect(findings.get('redis cluster')).toMatch(/ok, with 3 masters: 127\.0\.0\.1:\d+ has \d+ keys/)
    expect(findings.get('redis eviction')).toBe(`maxmemory-policy is allkeys-lru at 127.0.0.1:${one!.port}`)
    for (const { port } of cluster.masters) expect(findings.get('redis durability')).toContain(`:${port}`)
    await cluster.ask(one!, ['CLUSTER', 'DELSLOTS', 0])
    expect((await found()).get('redis cluster')).toMatch(/has no master|is not whole/)
    await cluster.ask(one!, ['CLUSTER', 'ADDSLOTS', 0])
  })

  it('S12: what a master lost by its failover is answered by nobody', { timeout: 120_000 }, async () => {
    const maxSilenceMs = 1500
    const [one, other]: Node[] = [await nodes.open(entries, { maxSilenceMs }), await nodes.open(entries, { maxSilenceMs })]
    // A master that has nothing of the feed: nobody would miss what it lost.
    const streams = await Promise.all(
      cluster.masters.map((node) => cluster.ask(node, ['KEYS', `tidemark:feed:*-${nodes.name()}:current`])),
    )
    const epoch = one!.node.state().streamEpoch!
    const at = streams.findIndex((keys, n) => String(keys) === '' && Math.floor(slotOf(streamKey(epoch)) / 5462) !== n)
    const master = cluster.masters[at]!
    const isThere = (n: number) => Math.floor(slotOf(one!.entries.shared.key({ id: n })) / 5462) === at
    const id = Array.from({ length: 100 }, (_, n) => 1000 + n).find(isThere)!
    await client.query('insert into things values ($1, 1)', [id])
    const replica = await cluster.addReplica(master)
    await Promise.all([untilUp(one!, maxSilenceMs), untilUp(other!, maxSilenceMs)])
    const key = one!.entries.shared.key({ id })
    const inReplica = async () => String(await cluster.ask(replica, ['KEYS', '*'])).includes(key)
    await until(async () => (await one!.entries.shared.get({ id })) === 1 && (await inReplica()), {
      timeoutMs: 20_000,
      what: 'The value at the replica',
    })
    await cluster.deafen(master, replica)
    const { position } = await one!.write((tx) => tx.query('update things set n = 2 where id = $1', [id]))
    expect(await other!.entries.shared.get({ id }, { after: position })).toBe(2)
    let isBack = false
    const reading = (async () => {
      for (; !isBack; await new Promise((resolve) => setTimeout(resolve, 5))) {
        for (const { entries: kept } of [one!, other!]) expect(await kept.shared.get({ id })).toBe(2)
      }
    })()
    const losing = cluster.loseMaster(master, replica)
    await until(inReplica, { what: 'The value of before at the replica' })
    await losing
    await Promise.all([untilUp(one!, maxSilenceMs), untilUp(other!, maxSilenceMs)])
    await until(async () => (await other!.entries.shared.lookup({ id })).source === 'redis', { timeoutMs: 20_000 })
    isBack = true
    await reading
  })
})
