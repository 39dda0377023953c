import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../observability/observability.js'
import { createRedis } from '../../../redis/create-redis.js'
import { sharedRedisUrl } from '../../../testing/redis/redis-setup.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { systemClock } from '../../../time/clock.js'
import { createStreamQueue } from './stream-queue.js'

const url = sharedRedisUrl()

describe.skipIf(url === undefined)('C10: a queue in which nothing is', () => {
  const cleanups = useCleanups()

  const open = async (waits: boolean) => {
    const connect = async () => {
      const redis = await createRedis({ url: url! })
      cleanups.push(() => redis.stop())
      return redis
    }
    const queue = createStreamQueue({
      redis: await connect(),
      blocking: waits ? await connect() : undefined,
      name: `empty-${process.pid}`,
      // Of streams that no other test writes to.
      partitions: 64,
      trimAfterMs: 1000,
      clock: systemClock,
      signals: undefined,
      log: silentLogger,
      deleted: () => undefined,
      claimed: () => undefined,
    })
    await queue.create(63)
    return queue
  }

  it.each([
    ['at once', false, 0],
    ['after it has waited', true, 20],
  ])('says so %s, again and again, and raises nothing', async (_when, waits, waitMs) => {
    const queue = await open(waits)
    for (let n = 0; n < 3; n++) expect(await queue.read(new Map([[63, 'epoch']]), 10, waitMs)).toEqual([])
    expect(await queue.read(new Map(), 10, waitMs)).toEqual([])
  })
})
