import { createAbsentRedis } from './absent-redis.js'
import { type ConnectionOptions, resolveConnectionOptions } from './connection-options.js'
import { createIoredisTcp } from './ioredis-tcp.js'
import type { Redis } from './redis.js'
import { parseRestTarget, parseTcpTarget } from './redis-target.js'
import { createUpstashRest } from './upstash-rest.js'

export interface RedisOptions extends ConnectionOptions {
  /** `redis://` or `rediss://`. Used where both addresses are given: REST can neither block nor subscribe. */
  readonly url?: string
  readonly restUrl?: string
  readonly restToken?: string
}

/**
 * Makes the connection and gives it as soon as it is known to be up or down. An unreachable server is no error here:
 * the connection is then `down` and comes up by itself. Without any address it is `absent`.
 * Raises TM_REDIS_BAD_URL, and TM_REDIS_DRIVER_MISSING for REST without @upstash/redis.
 */
export const createRedis = async ({ url, restUrl, restToken, ...options }: RedisOptions = {}): Promise<Redis> => {
  const resolved = resolveConnectionOptions(options)
  if (url !== undefined) return createIoredisTcp(parseTcpTarget(url), resolved)
  if (restUrl !== undefined) return createUpstashRest(parseRestTarget(restUrl, restToken), resolved)
  return createAbsentRedis()
}
