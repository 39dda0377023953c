import { isTidemarkError } from '../../errors.js'
import type { Redis, RedisCommand } from '../../redis/redis.js'

/** Keys of one MGET. */
const keysPerCommand = 256

export type Frame = Buffer | null

/** A list or a hash of somebody else's under the key; MGET answers nil for those. */
const isForeign = (error: unknown): boolean =>
  isTidemarkError(error, 'TM_REDIS_COMMAND') && String(error.parameters.reason).startsWith('WRONGTYPE')

const getOne = async (redis: Redis, key: string): Promise<readonly Frame[]> => {
  try {
    return [await redis.command<Frame>(['GET', key], { buffers: true })]
  } catch (error) {
    if (isForeign(error)) return [null]
    throw error
  }
}

/** The frames of these keys, in their order: one by GET, more by MGET. */
export const readFrames = async (redis: Redis, keys: readonly string[]): Promise<readonly Frame[]> => {
  if (keys.length === 1) return getOne(redis, keys[0]!)
  if (keys.length <= keysPerCommand) return redis.command<Frame[]>(['MGET', ...keys], { buffers: true })
  const commands: RedisCommand[] = []
  for (let from = 0; from < keys.length; from += keysPerCommand) {
    commands.push(['MGET', ...keys.slice(from, from + keysPerCommand)])
  }
  const results = await redis.pipeline(commands, { buffers: true })
  return results.flatMap((result) => {
    if (!result.ok) throw result.error
    return result.value as Frame[]
  })
}
