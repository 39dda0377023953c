import type { Metrics } from '../../observability/observability.js'

/** In seconds. */
const lagBuckets = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30, 60]

export interface ChangesMetrics {
  refresh(now: { readonly listeners: number; readonly waiting: number; readonly bytes: number }): void
  gap(reason: string): void
  /** A change was told so long after its commit. */
  told(lagMs: number): void
  failed(): void
}

/** Counts what happens to listeners of changes. */
export const createChangesMetrics = (metrics: Metrics): ChangesMetrics => {
  const listeners = metrics.gauge('tidemark_realtime_change_listener_entries', 'Channels that are told changes of tables.')
  const waiting = metrics.gauge(
    'tidemark_realtime_changes_waiting_entries',
    'Changes of which it is not known yet who may see them.',
  )
  const bytes = metrics.gauge('tidemark_realtime_replay_bytes', 'Changes that are kept for clients that come back.')
  const gaps = metrics.counter('tidemark_realtime_gaps_total', 'Gaps that listeners were told of, by reason.', ['reason'])
  const failed = metrics.counter('tidemark_realtime_listeners_failed_total', 'Listeners whose policies or filters failed.')
  const lag = metrics.histogram(
    'tidemark_realtime_lag_seconds',
    'From the commit of a change to its being handed to the sockets of those who are told of it as it happens.',
    [],
    lagBuckets,
  )
  return {
    refresh: (now) => {
      listeners.set(now.listeners)
      waiting.set(now.waiting)
      bytes.set(now.bytes)
    },
    gap: (reason) => gaps.increment({ reason }),
    told: (lagMs) => lag.observe(Math.max(0, lagMs) / 1000),
    failed: () => failed.increment(),
  }
}
