import { type Logger, silentLogger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import type { FanOutOptions } from './fan-out.js'
import type { CollectorLimits } from './stream/transaction-collector.js'

/** The options of the fan-out, whole. */
export interface FanOutSettings {
  readonly maxSilenceMs: number
  /** How often the reader beats. */
  readonly beatMs: number
  readonly replayWindowMs: number
  readonly begins: 'newest' | 'oldest'
  readonly limits: CollectorLimits
  readonly maxStreamBytes: number
  readonly clock: Clock
  readonly log: Logger
}

/** Some beats may come late before one counts as missing. */
const beatsPerSilence = 8

/** REST cannot wait: it is asked at most so often, and silence has to outlast three such pauses (S32). */
export const shortestPollMs = 200

export const resolveSettings = (options: Omit<FanOutOptions, 'sources'>): FanOutSettings => {
  const asked = options.maxSilenceMs ?? 1000
  const maxSilenceMs = options.redis.redis.driver === 'rest' ? Math.max(asked, 3 * shortestPollMs) : asked
  return {
    maxSilenceMs,
    beatMs: maxSilenceMs / beatsPerSilence,
    replayWindowMs: options.replayWindowMs ?? 60_000,
    begins: options.begins ?? 'newest',
    limits: {
      maxChanges: options.maxTransactionChanges ?? 10_000,
      maxBytes: options.maxTransactionBytes ?? 4 * 1024 ** 2,
      maxEntryBytes: options.maxEntryBytes ?? 128 * 1024,
    },
    maxStreamBytes: options.maxStreamBytes ?? 64 * 1024 ** 2,
    clock: options.clock ?? systemClock,
    log: (options.log ?? silentLogger).child('feed'),
  }
}
