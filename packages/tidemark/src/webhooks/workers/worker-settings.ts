import { TidemarkError } from '../../errors.js'
import type { WorkerSettings } from './workers.js'

export const defaultWorkerSettings: WorkerSettings = {
  concurrency: 8,
  batch: 256,
  quickMs: 10,
  maxAttempts: 8,
  retryBaseMs: 1_000,
  retryMaxMs: 900_000,
  handlerTimeoutMs: 30_000,
  heartbeatMs: 5_000,
  leaseMs: 11_000,
  maxCrashes: 3,
  held: 2_000,
  trimAfterMs: 86_400_000,
  sweepAfterMs: 60_000,
  stopTimeoutMs: 4_000,
  unhandled: 'processed',
  whenRedisIsDown: 'wait',
  rowsAfterMs: 5_000,
  replayPerSecond: 200,
}

/** Fills in what is not given. Raises TM_WEBHOOKS_BAD_OPTION. */
export const resolveWorkerSettings = (given: Partial<WorkerSettings> = {}): WorkerSettings => {
  const settings = { ...defaultWorkerSettings, ...given }
  for (const [option, value] of Object.entries(settings)) {
    if (typeof value === 'number' && !(value > 0))
      throw new TidemarkError('TM_WEBHOOKS_BAD_OPTION', { option, reason: 'it is not above 0' })
  }
  if (settings.leaseMs < 2 * settings.heartbeatMs) {
    throw new TidemarkError('TM_WEBHOOKS_BAD_OPTION', { option: 'leaseMs', reason: 'it is shorter than two heartbeats' })
  }
  return settings
}
