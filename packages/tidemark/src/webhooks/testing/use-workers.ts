/** Workers over a real Postgres and a real Redis, stopped after each test. */
import { createNamedPool, type Pool } from '../../postgres/postgres.js'
import { createAbsentRedis } from '../../redis/absent-redis.js'
import { createRedis } from '../../redis/create-redis.js'
import type { Redis } from '../../redis/redis.js'
import { testUrl } from '../../schema/testing/bootstrapped-template.js'
import type { Cleanups } from '../../testing/use-cleanups.js'
import { createHandlers } from '../workers/create-handlers.js'
import { openWorkers } from '../workers/open-workers.js'
import type { HandlerTable, Workers, WorkersOptions } from '../workers/workers.js'

export interface TestWorkers {
  readonly workers: Workers
  readonly pool: Pool
  readonly redis: Redis
}

export type TestWorkersOptions = Partial<Omit<WorkersOptions, 'handlers'>> & { readonly on?: HandlerTable; readonly url: string }

/** Short times, so that nothing has to be waited for; the rules are the same. */
export const quickSettings = { retryBaseMs: 20, retryMaxMs: 200, heartbeatMs: 300, leaseMs: 5_000 } as const

export const createTestPool = (url: string, cleanups: Cleanups): Pool => {
  const pool = createNamedPool('primary', { url: testUrl(url, 'app') })
  cleanups.push(() => pool.stop())
  return pool
}

/** Without `redisUrl` events are handled from their rows. */
export const openTestWorkers = async (
  cleanups: Cleanups,
  redisUrl: string | undefined,
  { url, on = {}, settings, ...options }: TestWorkersOptions,
): Promise<TestWorkers> => {
  const pool = options.pool ?? createTestPool(url, cleanups)
  const connect = async (): Promise<Redis> =>
    redisUrl === undefined ? createAbsentRedis() : createRedis({ url: redisUrl, retryMaxMs: 100 })
  const redis = options.redis ?? (await connect())
  cleanups.push(() => redis.stop())
  const workers = await openWorkers({
    connect,
    ...options,
    pool,
    redis,
    handlers: createHandlers(on),
    settings: { ...quickSettings, ...settings },
  })
  cleanups.push(() => workers.stop())
  return { workers, pool, redis }
}
