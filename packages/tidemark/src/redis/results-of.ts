import { isTidemarkError } from '../errors.js'
import type { PipelineResult, RedisReply } from './redis.js'

/** What became of commands that were sent together: a refused one is its own affair, whatever else went wrong is that of all. */
export const resultsOf = async (sent: readonly Promise<RedisReply>[]): Promise<PipelineResult[]> => {
  const outcomes = await Promise.allSettled(sent)
  return outcomes.map((outcome): PipelineResult => {
    if (outcome.status === 'fulfilled') return { ok: true, value: outcome.value }
    if (!isTidemarkError(outcome.reason, 'TM_REDIS_COMMAND')) throw outcome.reason
    return { ok: false, error: outcome.reason }
  })
}
