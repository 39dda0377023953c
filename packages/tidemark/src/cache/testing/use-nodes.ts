/** Nodes of a cache on real servers: up when a test gets them, stopped after it. */
import { beforeEach } from 'vitest'
import { type Cleanups, useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { Definitions } from '../create-cache.js'
import { type OpenCache, type OpenCacheOptions, openCache } from '../open-cache.js'

/** Addresses, asked for when a test runs. */
export interface Servers {
  readonly database: { readonly url: string }
  readonly redis: { readonly url: string }
}

export type NodeOptions = Partial<Omit<OpenCacheOptions<Definitions>, 'entries'>>

export interface Nodes {
  /** What the nodes of this test share, and no other test: their slot, and with a colon what stands before their keys. */
  name(): string
  /** One more node. With `redis: undefined` it is alone. */
  open<const D extends Definitions>(entries: D, options?: NodeOptions): Promise<OpenCache<D>>
  readonly cleanups: Cleanups
}

/** The node may answer, and ask Redis. */
export const untilUp = (
  cache: Pick<OpenCache<Definitions>, 'freshness' | 'node'>,
  maxSilenceMs = 1000,
  hasRedis = true,
): Promise<unknown> =>
  until(() => cache.freshness() < maxSilenceMs && (!hasRedis || cache.node.state().redisEpoch !== null), {
    what: hasRedis ? 'A proof of freshness, and Redis' : 'A proof of freshness',
    timeoutMs: 20_000,
  })

export const useNodes = ({ database, redis }: Servers): Nodes => {
  const cleanups = useCleanups()
  let tests = 0
  const name = () => `c${tests}`
  beforeEach(() => {
    tests++
  })
  return {
    cleanups,
    name,
    open: async (entries, options = {}) => {
      const given = { redis: redis.url, name: name(), prefix: `${name()}:`, ...options }
      const cache = await openCache({ entries, database: database.url, ...given })
      cleanups.push(() => cache.stop())
      await untilUp(cache, given.maxSilenceMs, given.redis !== undefined)
      return cache
    },
  }
}
