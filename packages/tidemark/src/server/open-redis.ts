import type { TidemarkConfig } from '../config/config.js'
import { reasonOf } from '../errors.js'
import type { Logger, Signals } from '../observability/observability.js'
import type { Redis } from '../redis/redis.js'
import type { State } from '../state/state.js'

/** Where the project's Redis comes from. */
export type RedisSource = 'configured' | 'embedded' | 'none'

export interface OpenedRedis {
  readonly redis: Redis
  readonly source: RedisSource
  /** With its password; undefined where there is none, and for Upstash over REST. */
  readonly url: string | undefined
  /** One line for people: what there is, or why there is none and what follows. */
  readonly notice: string
  /** Opens another connection to the same server, for reads that block. Whoever asks for it stops it. */
  connect(name: string): Promise<Redis>
  stop(): Promise<void>
}

export interface OpenRedisOptions {
  readonly config: TidemarkConfig
  readonly state: State
  readonly log: Logger
  readonly signals?: Signals
}

const degraded = 'Redis: none. Everything works without it, from memory and Postgres; several servers then share no cache.'

interface Address {
  readonly source: RedisSource
  readonly url?: string
  readonly restUrl?: string
  readonly restToken?: string
  readonly why?: string
  stop(): Promise<void>
}

const nothingToStop = async (): Promise<void> => {}

/** The configured address, else that of a private child, else none. A child that does not start is no reason to fail. */
const findAddress = async ({ config: { redis }, state, log }: OpenRedisOptions): Promise<Address> => {
  if (redis.url !== undefined || redis.restUrl !== undefined) {
    return {
      source: 'configured',
      stop: nothingToStop,
      ...(redis.url !== undefined && { url: redis.url }),
      ...(redis.restUrl !== undefined && { restUrl: redis.restUrl }),
      ...(redis.restToken !== undefined && { restToken: redis.restToken }),
    }
  }
  if (!redis.embedded) return { source: 'none', why: 'turned off by --no-embedded-redis', stop: nothingToStop }
  try {
    const { startEmbeddedRedis } = await import('../redis/embedded/embedded.js')
    const embedded = await startEmbeddedRedis({ state, log })
    if (!embedded) return { source: 'none', why: 'no redis-server or valkey-server is on PATH', stop: nothingToStop }
    return { source: 'embedded', url: embedded.url, stop: () => embedded.stop() }
  } catch (error) {
    return { source: 'none', why: reasonOf(error), stop: nothingToStop }
  }
}

const noticeOf = (redis: Redis, { source, why }: Address): string => {
  if (redis.state === 'up') return `Redis: up at ${redis.target}${source === 'embedded' ? ' (embedded)' : ''}.`
  if (redis.state === 'down')
    return `Redis: down at ${redis.target}. Everything goes on without it, and takes it up when it answers.`
  return why === undefined ? degraded : `${degraded} (${why})`
}

/** Opens the project's Redis. That there is none, or that it is down, is a state and not an error. */
export const openRedis = async (options: OpenRedisOptions): Promise<OpenedRedis> => {
  const { createRedis } = await import('../redis/create-redis.js')
  const address = await findAddress(options)
  const { source, why, stop, ...connection } = address
  const shared = { ...connection, commandTimeoutMs: options.config.redis.commandTimeoutMs }
  try {
    const redis = await createRedis({
      ...shared,
      log: options.log,
      ...(options.signals && { signals: options.signals }),
    })
    return {
      redis,
      source,
      url: address.url,
      notice: noticeOf(redis, address),
      // Its losses are those of the shared connection, which has told of them.
      connect: (name) => createRedis({ ...shared, name }),
      stop: async () => {
        await redis.stop()
        await stop()
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}
