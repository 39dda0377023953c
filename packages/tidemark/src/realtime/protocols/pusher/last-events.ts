import type { Logger } from '../../../observability/observability.js'
import type { Redis } from '../../../redis/redis.js'
import type { Clock } from '../../../time/clock.js'

export interface LastEventsOptions {
  readonly redis: Redis
  readonly prefix: string
  readonly clock: Clock
  readonly log: Logger
}

/** The last event of each cache channel. */
export interface LastEvents {
  set(channel: string, text: string): Promise<void>
  get(channel: string): Promise<string | undefined>
}

const keepMs = 30 * 60_000
/** Where Redis is away, of this node alone. */
const maxKept = 10_000

/** In Redis for all nodes, and in memory for as long as there is none. */
export const createLastEvents = ({ redis, prefix, clock, log }: LastEventsOptions): LastEvents => {
  const kept = new Map<string, { readonly text: string; readonly untilMs: number }>()
  const keyOf = (channel: string): string => `${prefix}:last:${channel}`

  const keep = (channel: string, text: string): void => {
    kept.delete(channel)
    kept.set(channel, { text, untilMs: clock.monotonicMs() + keepMs })
    if (kept.size > maxKept) kept.delete(kept.keys().next().value!)
  }

  const recall = (channel: string): string | undefined => {
    const found = kept.get(channel)
    return found && found.untilMs > clock.monotonicMs() ? found.text : undefined
  }

  return {
    set: async (channel, text) => {
      try {
        if (redis.state === 'up') await redis.command(['SET', keyOf(channel), text, 'PX', keepMs])
        else return keep(channel, text)
        kept.delete(channel)
      } catch (err) {
        log.debug('the last event of a channel stays in memory', { err })
        keep(channel, text)
      }
    },
    get: async (channel) => {
      if (redis.state !== 'up') return recall(channel)
      const found = await redis.command<string | null>(['GET', keyOf(channel)]).catch(() => null)
      return found ?? recall(channel)
    },
  }
}
