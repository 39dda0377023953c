import { randomUUID } from 'node:crypto'
import { reasonOf } from '../../errors.js'
import type { Logger } from '../../observability/observability.js'
import { defineScript } from '../../redis/lua-script.js'
import type { Redis } from '../../redis/redis.js'
import { partitionKeys } from '../webhooks.js'

/** Gives the life of a stream; one that has none begins with that which is given. */
const lifeScript = defineScript(
  'webhooks.life',
  `redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`,
)

/** By partition, the life in which its stream was when it was looked at. */
export type Lives = ReadonlyMap<number, string>

/**
 * In which lives the streams are. A stream that was lost gets another one before what it held goes through it anew, so that what was
 * stored before cannot overtake that: it is appended under the life that was known before it was stored, or not at all.
 */
export interface StreamLives {
  /** Those of the partitions; the ones that cannot be known are missing. */
  of(partitions: ReadonlySet<number>): Promise<Lives>
  /** The partition has another life by now. */
  forget(partition: number): void
}

export interface StreamLivesOptions {
  readonly redis: Redis
  readonly partitions: number
  readonly log: Logger
  /** Called before a life is used that was not known: whether events of the partition wait in Postgres may have changed with it. */
  readonly learned: () => void
}

export const createStreamLives = ({ redis, partitions, log, learned }: StreamLivesOptions): StreamLives => {
  const lives = new Map<number, string>()
  const learn = async (partition: number): Promise<void> => {
    try {
      lives.set(partition, await redis.script(lifeScript, [partitionKeys(partition, partitions).life], [randomUUID()]))
      learned()
    } catch (error) {
      log.debug('the life of a stream is not known', { partition, reason: reasonOf(error) })
    }
  }
  return {
    of: async (wanted) => {
      const unknown = [...wanted].filter((partition) => !lives.has(partition))
      if (unknown.length > 0 && redis.state === 'up') await Promise.all(unknown.map(learn))
      return new Map([...wanted].flatMap((partition) => (lives.has(partition) ? [[partition, lives.get(partition)!]] : [])))
    },
    forget: (partition) => void lives.delete(partition),
  }
}
