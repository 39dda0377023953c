import { splitRedisUrls } from '../config/redis-urls.js'
import { createAbsentRedis } from './absent-redis.js'
import { type ConnectionOptions, type ResolvedConnectionOptions, resolveConnectionOptions } from './connection-options.js'
import { createIoredisCluster } from './ioredis-cluster.js'
import { createIoredisTcp } from './ioredis-tcp.js'
import type { Redis } from './redis.js'
import { parseClusterTargets, parseRestTarget, parseTcpTarget } from './redis-target.js'
import { createUpstashRest } from './upstash-rest.js'

export interface RedisOptions extends ConnectionOptions {
  /**
   * `redis://` or `rediss://`. Used where both addresses are given: REST can neither block nor subscribe. Of a Redis Cluster the address of
   * one node or, better, of several, separated by commas: any of them that answers names all others.
   */
  readonly url?: string
  readonly restUrl?: string
  readonly restToken?: string
}

/** A server that is not there yet cannot say whether it is one of a cluster; several addresses do. */
const isCluster = async (redis: Redis): Promise<boolean> =>
  redis.state === 'up' && /^cluster_enabled:1\b/m.test(String(await redis.command(['INFO', 'cluster']).catch(() => '')))

const openTcp = async (url: string, options: ResolvedConnectionOptions): Promise<Redis> => {
  const urls = splitRedisUrls(url)
  if (urls.length > 1) return createIoredisCluster(parseClusterTargets(urls), options)
  const redis = await createIoredisTcp(parseTcpTarget(url), options)
  if (!(await isCluster(redis))) return redis
  await redis.stop()
  return createIoredisCluster(parseClusterTargets(urls), options)
}

/**
 * Makes the connection and gives it as soon as it is known to be up or down. An unreachable server is no error here:
 * the connection is then `down` and comes up by itself. Without any address it is `absent`.
 * Raises TM_REDIS_BAD_URL, and TM_REDIS_DRIVER_MISSING for REST without @upstash/redis.
 */
export const createRedis = async ({ url, restUrl, restToken, ...options }: RedisOptions = {}): Promise<Redis> => {
  const resolved = resolveConnectionOptions(options)
  if (url !== undefined) return openTcp(url, resolved)
  if (restUrl !== undefined) return createUpstashRest(parseRestTarget(restUrl, restToken), resolved)
  return createAbsentRedis()
}
