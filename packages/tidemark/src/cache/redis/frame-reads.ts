import { isTidemarkError } from '../../errors.js'
import type { Redis, RedisCommand } from '../../redis/redis.js'
import { renewed } from '../../redis/redis-error.js'

/** Keys of one MGET. */
const keysPerCommand = 256

type Frame = Buffer | null

interface Waiting {
  readonly key: string
  readonly resolve: (frame: Frame) => void
  readonly reject: (error: unknown) => void
}

/** A list or a hash of somebody else's under the key; MGET answers nil for those. */
const isForeign = (error: unknown): boolean =>
  isTidemarkError(error, 'TM_REDIS_COMMAND') && String(error.parameters.reason).startsWith('WRONGTYPE')

/**
 * Reads frames. What is asked for one by one within a turn of the event loop goes out together: one key as GET, more as one MGET, which
 * costs Redis and both ends of the line far less, and no caller waits for it longer.
 */
export class FrameReads {
  readonly #redis: Redis
  #waiting: Waiting[] = []

  constructor(redis: Redis) {
    this.#redis = redis
  }

  one(key: string): Promise<Frame> {
    return new Promise((resolve, reject) => {
      // A tick comes when all continuations of the present one have run: replies that came together are followed by reads that go together.
      if (this.#waiting.push({ key, resolve, reject }) === 1) process.nextTick(() => this.#send())
    })
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

  #send(): void {
    const waiting = this.#waiting
    this.#waiting = []
    const keys = waiting.map(({ key }) => key)
    const reading = keys.length === 1 ? this.#get(keys[0]!) : this.many(keys)
    reading.then(
      (frames) => {
        for (const [index, { resolve }] of waiting.entries()) resolve(frames[index] ?? null)
      },
      (error: unknown) => {
        for (const { reject } of waiting) reject(isTidemarkError(error) ? renewed(error) : error)
      },
    )
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
