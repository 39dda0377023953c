import { Redis as Upstash } from '@upstash/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { redisConformance } from '../testing/redis/redis-conformance.js'
import { sharedRedisUrl } from '../testing/redis/redis-setup.js'
import { startUpstashFacade, type UpstashFacade } from '../testing/redis/upstash-facade.js'
import { until } from '../time/until.js'
import { createRedis } from './create-redis.js'
import type { Redis } from './redis.js'

const url = sharedRedisUrl()

describe.skipIf(url === undefined)('over TCP', () => {
  let redis: Redis
  beforeAll(async () => {
    redis = await createRedis({ url: url! })
  })
  afterAll(() => redis.stop())

  for (const { name, run } of redisConformance(() => redis)) it(name, run)

  it('delivers what is published, to each listener of a channel, until it leaves', async () => {
    const heard: string[] = []
    const leaves = await Promise.all([
      redis.subscribe(['a', 'b'], (message, channel) => void heard.push(`1 ${channel} ${message}`)),
      redis.subscribe(['b'], (message, channel) => void heard.push(`2 ${channel} ${message}`)),
      redis.subscribe(['b'], () => {
        throw new Error('listener')
      }),
    ])
    await redis.pipeline([
      ['PUBLISH', 'a', 'x'],
      ['PUBLISH', 'b', 'grüße'],
    ])
    await until(() => heard.length === 3)
    expect(heard.toSorted()).toEqual(['1 a x', '1 b grüße', '2 b grüße'])
    await leaves[0]!()
    await leaves[0]!()
    expect(await redis.command(['PUBLISH', 'a', 'nobody hears'])).toBe(0)
    await redis.command(['PUBLISH', 'b', 'y'])
    await until(() => heard.includes('2 b y'))
    expect(heard).toHaveLength(4)
    await Promise.all(leaves.map((leave) => leave()))
  })

  it('chooses the database of the URL, and shows its name in the list of clients', async () => {
    const other = await createRedis({ url: `${url}/3`, name: 'tidemark-test-db3' })
    await other.command(['SET', 'only-in-3', 'x'])
    expect(await redis.command(['EXISTS', 'only-in-3'])).toBe(0)
    expect(await redis.command(['CLIENT', 'LIST'])).toContain('name=tidemark-test-db3')
    await other.command(['FLUSHDB'])
    await other.stop()
  })
})

describe.skipIf(url === undefined)('over Upstash REST', () => {
  const token = 'a-token-of-the-facade'
  let facade: UpstashFacade
  let redis: Redis
  beforeAll(async () => {
    facade = await startUpstashFacade({ redisUrl: url!, token })
    redis = await createRedis({ restUrl: facade.url, restToken: token })
  })
  afterAll(async () => {
    await redis.stop()
    await facade.stop()
  })

  for (const { name, run } of redisConformance(() => redis)) it(name, run)

  it('cannot listen to channels, and says what can', async () => {
    await expect(redis.subscribe(['a'], () => {})).rejects.toMatchObject({
      code: 'TM_REDIS_UNSUPPORTED',
      fix: expect.stringContaining('TCP'),
    })
  })

  it("stands behind a facade that Upstash's client takes for the real thing", async () => {
    const client = new Upstash({ url: facade.url, token, enableTelemetry: false })
    expect(await client.set('facade', { n: 1 })).toBe('OK')
    expect(await client.get('facade')).toEqual({ n: 1 })
    await client.hset('facade:h', { a: 1, b: 'grüße' })
    expect(await client.hgetall('facade:h')).toEqual({ a: 1, b: 'grüße' })
    expect(await client.multi().incr('facade:n').get('facade:n').exec()).toEqual([1, 1])
    expect(await client.pipeline().set('facade:n', 'x').get('facade:n').exec()).toEqual(['OK', 'x'])
    const script = '#!lua flags=allow-key-locking\nreturn ARGV[1]'
    expect(await client.eval(script, [], ['y'])).toBe('y')
    await client.del('facade', 'facade:h', 'facade:n')
    const stranger = new Upstash({ url: facade.url, token: 'wrong', retry: false, enableTelemetry: false })
    await expect(stranger.get('facade')).rejects.toThrow(/WRONGPASS/)
  })

  it('answers 400 and 404 to what is no command', async () => {
    const post = async (path: string, body: string) => {
      const headers = { authorization: `Bearer ${token}` }
      return (await fetch(`${facade.url}${path}`, { method: 'POST', headers, body })).status
    }
    expect([await post('/', '{'), await post('/', '{}'), await post('/nowhere', '[["GET","x"]]')]).toEqual([400, 400, 404])
  })
})
