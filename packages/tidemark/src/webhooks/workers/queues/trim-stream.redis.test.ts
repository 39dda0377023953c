import { beforeEach, describe, expect, test } from 'vitest'
import { createRedis } from '../../../redis/create-redis.js'
import type { Redis } from '../../../redis/redis.js'
import { sharedRedisUrl } from '../../../testing/redis/redis-setup.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { trimStream } from './trim-stream.js'

const url = sharedRedisUrl()

describe.skipIf(url === undefined)('what is cut off a stream (F16)', () => {
  const cleanups = useCleanups()
  const stream = `trimmed:${process.pid}`
  let redis: Redis

  beforeEach(async () => {
    redis = await createRedis({ url: url! })
    cleanups.push(() => redis.stop())
    cleanups.push(() => redis.command(['DEL', stream]))
    for (let ms = 1; ms <= 500; ms++) await redis.command(['XADD', stream, `${ms}-0`, 'n', ms])
    await redis.command(['XGROUP', 'CREATE', stream, 'tidemark', '0'])
  })

  const read = (group: string, count: number) =>
    redis.command(['XREADGROUP', 'GROUP', group, 'one', 'COUNT', count, 'STREAMS', stream, '>'])
  const firstMs = async (): Promise<number> => {
    const [first] = (await redis.command(['XRANGE', stream, '-', '+', 'COUNT', 1])) as [string, string[]][]
    return Number(first![0].split('-')[0])
  }
  const acknowledge = (group: string, from: number, to: number) =>
    redis.command(['XACK', stream, group, ...Array.from({ length: to - from + 1 }, (_each, at) => `${from + at}-0`)])

  test('nothing that is held', async () => {
    await read('tidemark', 400)
    await acknowledge('tidemark', 151, 400)
    await trimStream(redis, stream, 1_000)
    expect(await firstMs()).toBe(1)
    expect(((await redis.command(['XPENDING', stream, 'tidemark'])) as unknown[])[0]).toBe(150)
  })

  test('nothing that another group has still to see', async () => {
    await redis.command(['XGROUP', 'CREATE', stream, 'others', '0'])
    await read('tidemark', 500)
    await acknowledge('tidemark', 1, 500)
    expect(await trimStream(redis, stream, 1_000)).toBe(2)
    expect(await redis.command(['XLEN', stream])).toBe(500)
  })

  test('nothing that is young, and of the rest what is done', async () => {
    await read('tidemark', 500)
    await acknowledge('tidemark', 1, 500)
    await trimStream(redis, stream, 0)
    expect(await redis.command(['XLEN', stream])).toBe(500)
    await trimStream(redis, stream, 450)
    const first = await firstMs()
    // Redis gives up whole nodes of a stream: what is left may be more, and never less.
    expect(first).toBeGreaterThan(300)
    expect(first).toBeLessThanOrEqual(450)
  })

  test('nothing where nobody has ever read', async () => {
    await redis.command(['XGROUP', 'DESTROY', stream, 'tidemark'])
    expect(await trimStream(redis, stream, 1_000)).toBe(0)
    expect(await redis.command(['XLEN', stream])).toBe(500)
  })
})
