import { reasonOf } from '../../errors.js'
import { type Logger, silentLogger } from '../../observability/observability.js'
import type { Pool } from '../../postgres/postgres.js'
import { type Clock, systemClock } from '../../time/clock.js'

export interface MessageKeeperOptions {
  /** Logs in as the owner of `realtime.messages`. */
  readonly pool: Pick<Pool, 'query'>
  /** Default one hour: partitions are made a week ahead. */
  readonly everyMs?: number | undefined
  /** After a failure. Default one minute. */
  readonly retryMs?: number | undefined
  readonly clock?: Clock | undefined
  readonly log?: Logger | undefined
}

/** Makes the partitions of the days to come, and drops those that are older than three days. */
export interface MessageKeeper {
  /** Does it once, now. Raises TM_POSTGRES_*. */
  run(): Promise<void>
  /** Does it now and again until it is stopped. */
  start(): void
  stop(): Promise<void>
}

export const createMessageKeeper = (options: MessageKeeperOptions): MessageKeeper => {
  const { pool, everyMs = 3_600_000, retryMs = 60_000, clock = systemClock, log = silentLogger } = options
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  const run = async (): Promise<void> => {
    await pool.query('select tidemark.keep_realtime_messages()', [], { signal: stopping.signal })
  }
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const done = await run().then(
        () => true,
        (error: unknown) => {
          if (stopping.signal.aborted) return true
          log.warn('partitions of realtime.messages could not be made or dropped', { reason: reasonOf(error) })
          return false
        },
      )
      await clock.sleep(done ? everyMs : retryMs, stopping.signal).catch(() => undefined)
    }
  }
  return {
    run,
    start: () => {
      running ??= loop()
    },
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}
