import { expect, test } from 'vitest'
import { sharedRedisUrl } from '../testing/redis/redis-setup.js'
import { useCleanups } from '../testing/use-cleanups.js'
import { until } from '../time/until.js'
import { createRedis } from './create-redis.js'

const url = sharedRedisUrl()
const cleanups = useCleanups()

test.skipIf(url === undefined)('one channel is heard as bytes and as text', async () => {
  const redis = await createRedis({ url: url! })
  cleanups.push(() => redis.stop())
  const bytes: Buffer[] = []
  const texts: string[] = []
  await redis.subscribeBytes(['bytes:a'], (message) => bytes.push(message))
  await redis.subscribe(['bytes:a'], (message) => texts.push(message))
  const sent = Buffer.from([0, 255, 254, 13, 10, 195, 40])
  await redis.command(['PUBLISH', 'bytes:a', sent])
  await redis.command(['PUBLISH', 'bytes:a', 'grüße'])
  await until(() => bytes.length === 2 && texts.length === 2)
  expect(bytes[0]).toEqual(sent)
  expect(bytes[1]?.toString()).toBe('grüße')
  expect(texts[1]).toBe('grüße')
})
