import type { Metrics } from '../../observability/observability.js'
import type { ResetReason, TransactionPiece } from '../feed.js'
import type { FollowerHealth } from './follow.js'

/** What is measured of one follower. */
export interface FollowerMetrics {
  applied(piece: TransactionPiece, now: number): void
  retried(): void
  reset(reason: ResetReason): void
  observe(health: FollowerHealth): void
}

export const noFollowerMetrics: FollowerMetrics = {
  applied: () => {},
  retried: () => {},
  reset: () => {},
  observe: () => {},
}

const lagBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** Defines the metrics of the feed; gives those of each follower. */
export const createFeedMetrics = (metrics: Metrics): ((follower: string) => FollowerMetrics) => {
  const label = ['follower'] as const
  const pieces = metrics.counter(
    'tidemark_feed_pieces_total',
    'Transactions, or pieces of large ones, that a follower applied.',
    label,
  )
  const changes = metrics.counter('tidemark_feed_changes_total', 'Changes that a follower applied.', label)
  const retries = metrics.counter(
    'tidemark_feed_retries_total',
    'Times that a follower failed and was given the same again.',
    label,
  )
  const resets = metrics.counter('tidemark_feed_resets_total', 'Times that a follower was told to drop what it had derived.', [
    'follower',
    'reason',
  ])
  const lag = metrics.histogram(
    'tidemark_feed_lag_seconds',
    'From the commit of a transaction to its being applied by a follower.',
    label,
    lagBuckets,
  )
  const freshness = metrics.gauge('tidemark_feed_freshness_seconds', 'Age of the last proof of freshness of a follower.', label)
  const queued = metrics.gauge('tidemark_feed_queued_bytes', 'Roughly what waits for a follower.', label)
  const failing = metrics.gauge('tidemark_feed_failing_state', '1 while a follower fails, else 0.', label)

  const holding = metrics.gauge(
    'tidemark_feed_holding_state',
    '1 while the queue of a follower is full, so that the feed of this server waits for it, else 0.',
    label,
  )
  const working = metrics.gauge('tidemark_feed_working_seconds', 'How long a follower has been at what it works on.', label)

  return (follower) => ({
    applied: (piece, now) => {
      pieces.increment({ follower })
      changes.add(piece.changes.length, { follower })
      if (piece.last) lag.observe(Math.max(0, now - piece.committedAt.getTime()) / 1000, { follower })
    },
    retried: () => retries.increment({ follower }),
    reset: (reason) => resets.increment({ follower, reason }),
    observe: ({ freshnessMs, queuedBytes, state, holdsUp, workingMs }) => {
      freshness.set(freshnessMs / 1000, { follower })
      queued.set(queuedBytes, { follower })
      holding.set(holdsUp ? 1 : 0, { follower })
      working.set(workingMs / 1000, { follower })
      failing.set(state === 'failing' ? 1 : 0, { follower })
    },
  })
}
