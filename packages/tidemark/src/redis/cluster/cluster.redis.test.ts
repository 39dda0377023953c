import { describe, expect, it } from 'vitest'
import { redisConformance } from '../../testing/redis/redis-conformance.js'
import type { TestRedis } from '../../testing/redis/redis-server.js'
import { sharedRedisUrl } from '../../testing/redis/redis-setup.js'
import { useCluster } from '../../testing/redis/use-cluster.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { createRedis } from '../create-redis.js'
import { defineScript } from '../lua-script.js'
import type { Redis, RedisState } from '../redis.js'
import { slotOf } from './slots.js'

const own = defineScript('own', `return redis.call('INCR', KEYS[1])`)

describe.skipIf(sharedRedisUrl() === undefined)('a Redis Cluster', () => {
  const cluster = useCluster()
  const cleanups = useCleanups()

  const connect = async (url = cluster.url): Promise<Redis> => {
    const redis = await createRedis({ url, retryMaxMs: 50 })
    cleanups.push(() => redis.stop())
    return redis
  }

  for (const { name, run } of redisConformance(() => shared)) {
    it(`is one Redis, which ${name}`, async () => {
      shared = await connect()
      await run()
    })
  }
  let shared: Redis

  it('is recognised from one address, and has its keys on all masters', async () => {
    const redis = await connect(cluster.masters[1]!.url)
    expect([redis.state, redis.cluster?.masters]).toEqual(['up', expect.stringMatching(/^[0-9a-f]{40}$/)])
    const keys = Array.from({ length: 60 }, (_, n) => `some:${n}`)
    for (const result of await redis.pipeline(keys.map((key) => ['SET', key, `of ${key}`])))
      expect(result).toMatchObject({ ok: true })
    const counts = await redis.cluster!.onEach<number>(['DBSIZE'])
    expect([counts.size, Math.min(...counts.values()) > 0]).toEqual([3, true])
    expect(await redis.command(['MGET', ...keys, 'none'])).toEqual([...keys.map((key) => `of ${key}`), null])
    const found = new Set<string>()
    let cursor = '0'
    do {
      const [next, page] = await redis.command<[string, string[]]>(['SCAN', cursor, 'MATCH', 'some:*', 'COUNT', 7])
      cursor = next
      for (const key of page) found.add(key)
    } while (cursor !== '0')
    expect(found.size).toBe(60)
    expect(await Promise.all(keys.slice(0, 9).map((key) => redis.script(own, [`n:${key}`])))).toEqual(new Array(9).fill(1))
    expect(await redis.command(['DEL', ...keys])).toBe(60)
    const asOne = cluster.masters.map((node) => cluster.ask(node, ['GET', 'some:1']).catch((error: unknown) => error))
    expect(await Promise.all(asOne)).toContainEqual(expect.objectContaining({ code: 'TM_REDIS_CLUSTER' }))
    const single = sharedRedisUrl()!
    const mistaken = await connect(`${single},${single}`)
    await expect(mistaken.ping()).rejects.toMatchObject({
      code: 'TM_REDIS_UNREACHABLE',
      message: expect.stringContaining('no cluster'),
    })
  })

  it('follows a slot that moves to another master, while and after it does, under the same name of its masters', async () => {
    const redis = await connect()
    const slot = slotOf('{moving}')
    const from = cluster.masters[Math.floor(slot / 5462)]!
    const to = cluster.masters.find((node) => node !== from)!
    const [fromId, toId] = [
      String(await cluster.ask(from, ['CLUSTER', 'MYID'])),
      String(await cluster.ask(to, ['CLUSTER', 'MYID'])),
    ]
    const { masters } = redis.cluster!
    const states: RedisState[] = []
    redis.onState((state) => states.push(state))
    await redis.command(['SET', '{moving}:old', 'x'])
    await cluster.ask(to, ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId])
    await cluster.ask(from, ['CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId])
    await redis.command(['SET', '{moving}:new', 'y'])
    expect(await cluster.ask(from, ['CLUSTER', 'COUNTKEYSINSLOT', slot])).toBe(1)
    // Some keys here and some there: the script is done once all are.
    const both = redis.script(defineScript('both', `return redis.call('MGET', KEYS[1], KEYS[2])`), [
      '{moving}:old',
      '{moving}:new',
    ])
    await cluster.ask(from, ['MIGRATE', '127.0.0.1', to.port, '{moving}:old', 0, 1000])
    for (const node of [to, from]) await cluster.ask(node, ['CLUSTER', 'SETSLOT', slot, 'NODE', toId])
    expect(await both).toEqual(['x', 'y'])
    expect(await redis.command(['GET', '{moving}:old'])).toBe('x')
    expect([states, redis.cluster!.masters]).toEqual([[], masters])
  })

  it('is heard on every connection, whoever publishes', async () => {
    const [one, other] = [await connect(), await connect(cluster.masters[0]!.url)]
    const heard: string[] = []
    const leave = await one.subscribe(['ch:1', 'ch:2', 'ch:3'], (message, channel) => heard.push(`${channel} ${message}`))
    for (const channel of ['ch:1', 'ch:2', 'ch:3']) expect(await other.command(['PUBLISH', channel, 'x'])).toBe(1)
    // By a script it is published wherever the script's key is.
    const publish = defineScript('publish', `return redis.call('PUBLISH', ARGV[1], 'from ' .. KEYS[1])`)
    for (const key of ['a', 'b', 'c']) await other.script(publish, [key], ['ch:1'])
    await until(() => heard.length === 6)
    await leave()
    await other.command(['PUBLISH', 'ch:1', 'nobody hears'])
    expect(heard).toHaveLength(6)
  })

  it('is away as a whole while one master is, and the same once that wakes', async () => {
    const redis = await connect()
    const { masters } = redis.cluster!
    const away = cluster.masters[2]!
    const heard: string[] = []
    const channel = Array.from({ length: 50 }, (_, n) => `ch:${n}`).find((each) => slotOf(each) > 2 * 5462)!
    await redis.subscribe([channel], (message) => heard.push(message))
    away.signal('SIGSTOP')
    const key = Array.from({ length: 50 }, (_, n) => `k${n}`).find((each) => slotOf(each) > 2 * 5462)!
    await expect(redis.command(['GET', key], { timeoutMs: 1000 })).rejects.toMatchObject({ code: 'TM_REDIS_UNREACHABLE' })
    await until(() => redis.state === 'down')
    await expect(redis.command(['GET', '{of another}'])).rejects.toMatchObject({ code: 'TM_REDIS_UNREACHABLE' })
    away.signal('SIGCONT')
    await until(() => redis.state === 'up', { timeoutMs: 10_000 })
    // It only slept.
    expect(redis.cluster!.masters).toBe(masters)
    await redis.command(['PUBLISH', channel, 'again'])
    await until(() => heard.includes('again'))
  })

  it('S12: has other masters to everybody when one fails over, also where the old one comes back', async () => {
    const [busy, idle] = [await connect(), await connect()]
    const untilRenamed = async (before: string): Promise<string> => {
      const names = () => new Set([busy, idle].map(({ cluster: seen, state }) => (state === 'up' ? seen!.masters : before)))
      await until(() => names().size === 1 && !names().has(before), { timeoutMs: 20_000, what: 'Another name for the masters' })
      return busy.cluster!.masters
    }
    const takeOver = (node: TestRedis, from: TestRedis) =>
      until(
        async () => {
          await cluster.ask(node, ['CLUSTER', 'FAILOVER', 'TAKEOVER']).catch(() => undefined)
          return String(await cluster.ask(from, ['INFO', 'replication'])).includes('role:slave')
        },
        { intervalMs: 200, what: 'The master as a replica' },
      )
    const old = cluster.masters[0]!
    const alone = busy.cluster!.masters
    const replica = await cluster.addReplica(old)
    const before = await untilRenamed(alone)
    // Nobody's connection breaks: the master becomes a replica, and stays one that answers.
    await takeOver(replica, old)
    const between = await untilRenamed(before)
    expect(await busy.command(['SET', 'x', '1'])).toBe('OK')
    const isLinked = async () => String(await cluster.ask(old, ['INFO', 'replication'])).includes('master_link_status:up')
    await until(isLinked, { timeoutMs: 20_000 })
    await takeOver(old, replica)
    expect(await untilRenamed(between)).not.toBe(before)
  })
})
