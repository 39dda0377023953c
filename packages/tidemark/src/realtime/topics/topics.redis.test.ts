import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../observability/metrics.js'
import { silentLogger } from '../../observability/observability.js'
import { createRedis } from '../../redis/create-redis.js'
import { startTestRedis } from '../../testing/redis/redis-server.js'
import { sharedRedisUrl } from '../../testing/redis/redis-setup.js'
import { startUpstashFacade } from '../../testing/redis/upstash-facade.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { PresenceDiff } from '../realtime.js'
import { openTopics } from './open-topics.js'
import type { OpenTopics } from './topics.js'

const shared = sharedRedisUrl()
const cleanups = useCleanups()

const open = async (url: string, prefix: string): Promise<OpenTopics> => {
  const connect = () => createRedis({ url, retryMaxMs: 50, commandTimeoutMs: 1_000 })
  const redis = await connect()
  const topics = await openTopics({ redis, connect, prefix, log: silentLogger, metrics: createMetrics() })
  cleanups.push(async () => {
    await topics.stop()
    await redis.stop()
  })
  return topics
}

const listener = (id: string) => {
  const messages: Buffer[] = []
  const diffs: PresenceDiff[] = []
  const heard = { id, messages, diffs, gaps: 0 }
  return Object.assign(heard, {
    message: ({ body }: { readonly body: Buffer }) => void messages.push(body),
    presence: (diff: PresenceDiff) => void diffs.push(diff),
    gap: () => {
      heard.gaps++
    },
  })
}

const keysOf = (topics: OpenTopics, topic: string) => [...topics.presence(topic).keys()].sort()

describe.skipIf(shared === undefined)('topics through Redis', () => {
  test('messages reach all nodes byte for byte and in order; another project hears nothing', async () => {
    const prefix = randomUUID()
    const [one, two, other] = [await open(shared!, prefix), await open(shared!, prefix), await open(shared!, randomUUID())]
    const [here, there, elsewhere] = [listener('a'), listener('b'), listener('c')]
    one.subscribe('room', here)
    two.subscribe('room', there)
    other.subscribe('room', elsewhere)
    const bodies = Array.from({ length: 500 }, (_, n) => Buffer.concat([Buffer.from([0, 255, n & 255]), Buffer.from(`${n}`)]))
    await Promise.all(bodies.map((body) => one.publish({ topic: 'room', body, except: 'a' })))
    const large = Buffer.alloc(3 * 1024 * 1024, 7)
    await one.publish({ topic: 'room', body: large })
    await until(() => there.messages.length === 501)
    expect(there.messages.slice(0, 500)).toEqual(bodies)
    expect(there.messages[500]?.equals(large)).toBe(true)
    expect(here.messages).toHaveLength(1)
    expect(elsewhere.messages).toEqual([])
    expect(await two.count('room')).toBe(2)
    expect(await one.occupied('ro')).toEqual(new Map([['room', 2]]))
  })

  test('R107 presence: a node that starts later knows all, FLUSHALL loses nothing, one that stops takes its members along', async () => {
    const server = await startTestRedis()
    cleanups.push(() => server.stop())
    const [one, two] = [await open(server.url, 'p'), await open(server.url, 'p')]
    const watcher = listener('w')
    one.subscribe('room', watcher)
    await two.subscribe('room', listener('b')).track('bob', { n: 1 })
    await until(() => keysOf(one, 'room').includes('bob'))
    const admin = await createRedis({ url: server.url })
    cleanups.push(() => admin.stop())
    await admin.command(['FLUSHALL'])
    const three = await open(server.url, 'p')
    await until(() => keysOf(three, 'room').length === 1)
    await three.subscribe('room', listener('c')).track('cid', {})
    await until(() => keysOf(one, 'room').length === 2)
    expect(watcher.diffs.map(({ joins, leaves }) => [...joins.keys(), ...leaves.keys()])).toEqual([['bob'], ['cid']])
    await two.stop()
    await until(() => keysOf(one, 'room').join() === 'cid')
    expect(watcher.diffs.at(-1)?.leaves.size).toBe(1)
    expect(watcher.gaps).toBe(0)
  })

  test('Redis killed and started again: alone meanwhile and said so, then a gap is told and nobody left or came twice', async () => {
    const first = await startTestRedis()
    const [one, two] = [await open(first.url, 'p'), await open(first.url, 'p')]
    const [here, there] = [listener('a'), listener('b')]
    one.subscribe('room', here)
    const subscription = two.subscribe('room', there)
    await subscription.track('bob', {})
    await until(() => keysOf(one, 'room').length === 1)
    await first.stop()
    await until(() => one.reach().reach === 'alone' && two.reach().reach === 'alone')
    await one.publish({ topic: 'room', body: Buffer.from('within') })
    expect(here.messages.map(String)).toEqual(['within'])
    await two.subscribe('room', listener('d')).track('dan', {})
    expect(keysOf(one, 'room')).toEqual(['bob'])
    const second = await startTestRedis({ port: first.port })
    cleanups.push(() => second.stop())
    await until(() => here.gaps > 0 && there.gaps > 0, { timeoutMs: 20_000 })
    await until(() => keysOf(one, 'room').join() === 'bob,dan', { timeoutMs: 20_000 })
    await one.publish({ topic: 'room', body: Buffer.from('again') })
    await until(() => there.messages.map(String).join() === 'again')
    expect(here.diffs.map(({ joins, leaves }) => [[...joins.keys()], [...leaves.keys()]])).toEqual([
      [['bob'], []],
      [['dan'], []],
    ])
  })

  test('RT-2 lines that Redis cuts again and again: whoever missed something is told a gap, and presence comes to the truth', async () => {
    const server = await startTestRedis()
    cleanups.push(() => server.stop())
    const [one, two] = [await open(server.url, 'p'), await open(server.url, 'p')]
    const there = listener('b')
    two.subscribe('room', there)
    const present = listener('a')
    const subscription = one.subscribe('room', present)
    const admin = await createRedis({ url: server.url })
    cleanups.push(() => admin.stop())
    let sent = 0
    for (let round = 0; round < 5; round++) {
      await subscription.track('ann', { round })
      for (let count = 0; count < 50; count++) await one.publish({ topic: 'room', body: Buffer.from(String(sent++)) })
      await admin.command(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
      for (let count = 0; count < 50; count++) await one.publish({ topic: 'room', body: Buffer.from(String(sent++)) })
      await until(() => JSON.stringify(two.presence('room').get('ann')?.[0]?.payload) === `{"round":${round}}`, {
        timeoutMs: 15_000,
      })
    }
    await until(() => there.gaps > 0)
    const heard = there.messages.map(Number)
    expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b))
    expect(heard.length).toBeLessThan(sent)
    const told = there.diffs.flatMap(({ joins, leaves }) => [
      ...[...leaves.values()].flat().map(({ ref }) => `-${ref}`),
      ...[...joins.values()].flat().map(({ ref }) => `+${ref}`),
    ])
    expect(new Set(told).size).toBe(told.length)
  })

  test('a Redis that is down at the start is taken up when it answers', async () => {
    const first = await startTestRedis()
    await first.stop()
    const one = await open(first.url, 'p')
    expect(one.reach().reach).toBe('alone')
    const second = await startTestRedis({ port: first.port })
    cleanups.push(() => second.stop())
    const two = await open(second.url, 'p')
    await until(() => one.reach().others === 1 && two.reach().others === 1, { timeoutMs: 20_000 })
  })

  test('that a topic is occupied or vacated is told by one node', async () => {
    const prefix = randomUUID()
    const [one, two] = [await open(shared!, prefix), await open(shared!, prefix)]
    const told: string[] = []
    for (const topics of [one, two]) topics.onOccupancy((topic, occupied) => told.push(`${topic} ${occupied}`))
    const [a, b] = [one.subscribe('room', listener('a')), two.subscribe('room', listener('b'))]
    await until(() => told.length === 1, { timeoutMs: 10_000 })
    a.close()
    b.close()
    await until(() => told.length === 2, { timeoutMs: 10_000 })
    expect(told).toEqual(['room true', 'room false'])
  })

  test('whoever has counted hears when others come and go elsewhere', async () => {
    const prefix = randomUUID()
    const [one, two] = [await open(shared!, prefix), await open(shared!, prefix)]
    const counts: Promise<number>[] = []
    const end = two.onCountElsewhere((topic) => counts.push(two.count(topic)))
    two.subscribe('room', listener('b'))
    const here = one.subscribe('room', listener('a'))
    await until(() => counts.length === 1, { timeoutMs: 10_000 })
    here.close()
    await until(() => counts.length === 2, { timeoutMs: 10_000 })
    end()
    expect(await Promise.all(counts)).toEqual([2, 1])
  })

  test('Redis over REST cannot listen: this process alone, and it says so', async () => {
    const facade = await startUpstashFacade({ redisUrl: shared!, token: 'a-token-of-the-facade' })
    cleanups.push(() => facade.stop())
    const redis = await createRedis({ restUrl: facade.url, restToken: 'a-token-of-the-facade' })
    cleanups.push(() => redis.stop())
    const topics = await openTopics({ redis, prefix: 'p', log: silentLogger, metrics: createMetrics() })
    expect(topics.reach()).toMatchObject({ reach: 'process', detail: expect.stringContaining('REST') })
    const heard = listener('a')
    topics.subscribe('room', heard)
    await topics.publish({ topic: 'room', body: Buffer.from('x') })
    expect(heard.messages.map(String)).toEqual(['x'])
    await topics.stop()
  })
})
