import { isTidemarkError } from '../../errors.js'
import type { Redis, RedisCommand } from '../../redis/redis.js'
import { Gathered } from './gathered.js'

/** Keys of one MGET. */
const keysPerCommand = 256

type Frame = Buffer | null

/** A list or a hash of somebody else's under the key; MGET answers nil for those. */
const isForeign = (error: unknown): boolean =>
  isTidemarkError(error, 'TM_REDIS_COMMAND') && String(error.parameters.reason).startsWith('WRONGTYPE')

/** Reads frames. What is asked for one by one goes out together: one key as GET, more as one MGET. */
export class FrameReads {
  readonly #redis: Redis
  readonly #gathered = new Gathered<string, Frame>((keys) => (keys.length === 1 ? this.#get(keys[0]!) : this.many(keys)), 'turn')

  constructor(redis: Redis) {
    this.#redis = redis
  }

  one(key: string): Promise<Frame> {
    return this.#gathered.ask(key)
  }

  /** In the order of the keys. */
  async many(keys: readonly string[]): Promise<readonly Frame[]> {
    if (keys.length <= keysPerCommand) return this.#redis.command<Frame[]>(['MGET', ...keys], { buffers: true })
    const commands: RedisCommand[] = []
    for (let from = 0; from < keys.length; from += keysPerCommand) {
      commands.push(['MGET', ...keys.slice(from, from + keysPerCommand)])
    }
    const results = await this.#redis.pipeline(commands, { buffers: true })
    return results.flatMap((result) => {
      if (!result.ok) throw result.error
      return result.value as Frame[]
    })
  }

  async #get(key: string): Promise<readonly Frame[]> {
    try {
      return [await this.#redis.command<Frame>(['GET', key], { buffers: true })]
    } catch (error) {
      if (isForeign(error)) return [null]
      throw error
    }
  }
}
