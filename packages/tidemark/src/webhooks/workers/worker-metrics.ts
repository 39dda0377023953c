import type { Metrics } from '../../observability/observability.js'
import type { Backlog } from './queues/queue.js'

/** What workers count. */
export interface WorkerMetrics {
  processed(type: string, ageMs: number): void
  attempt(durationMs: number): void
  retried(): void
  dead(reason: string): void
  skipped(): void
  claimed(count: number): void
  deleted(count: number): void
  backlog(partition: number, backlog: Backlog): void
  parked(lanes: number): void
  forget(partition: number): void
}

const ageBucketsS = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 900, 7200]

/** Without metrics everything is counted nowhere. */
export const createWorkerMetrics = (metrics: Metrics | undefined): WorkerMetrics => {
  const counter = (name: string, help: string) => metrics?.counter(name, help)
  const processed = metrics?.counter('tidemark_webhook_processed_total', 'Events whose effect counts, by type.', ['type'])
  const age = metrics?.histogram('tidemark_webhook_age_seconds', 'From receiving an event to its effect.', [], ageBucketsS)
  const attempts = metrics?.histogram('tidemark_webhook_handler_seconds', 'How long the handlers of an event took.')
  const retries = counter('tidemark_webhook_retries_total', 'Attempts that failed and are tried again.')
  const dead = metrics?.counter('tidemark_webhook_dead_total', 'Events that became dead letters, by reason.', ['reason'])
  const skipped = counter('tidemark_webhook_skipped_total', 'Deliveries of events that were done already.')
  const claims = counter('tidemark_webhook_claims_total', 'Entries taken over from a worker that was gone.')
  const deleted = counter('tidemark_webhook_deleted_total', 'Entries cut off the stream while they were held; has to be 0.')
  const waiting = metrics?.gauge('tidemark_webhook_backlog_entries', 'Events in the stream of a partition.', ['partition'])
  const pending = metrics?.gauge('tidemark_webhook_pending_entries', 'Events that workers hold.', ['partition'])
  const oldest = metrics?.gauge('tidemark_webhook_oldest_seconds', 'How long the oldest event has waited.', ['partition'])
  const parked = metrics?.gauge('tidemark_webhook_parked_entries', 'Lanes that wait for the next attempt of their first event.')
  return {
    processed: (type, ageMs) => {
      processed?.increment({ type })
      age?.observe(Math.max(0, ageMs) / 1000)
    },
    attempt: (durationMs) => attempts?.observe(durationMs / 1000),
    retried: () => retries?.increment(),
    dead: (reason) => dead?.increment({ reason }),
    skipped: () => skipped?.increment(),
    claimed: (count) => claims?.add(count),
    deleted: (count) => deleted?.add(count),
    backlog: (partition, { events, pending: held, oldestMs }) => {
      waiting?.set(events, { partition })
      pending?.set(held, { partition })
      oldest?.set(oldestMs / 1000, { partition })
    },
    parked: (lanes) => parked?.set(lanes),
    forget: (partition) => {
      waiting?.set(0, { partition })
      pending?.set(0, { partition })
      oldest?.set(0, { partition })
    },
  }
}
