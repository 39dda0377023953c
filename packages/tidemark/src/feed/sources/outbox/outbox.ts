/**
 * Changes caught by triggers, for databases that give no slot: poolers, restricted roles. The order is a serial one that no snapshot
 * contradicts, where transactions that touched common rows keep theirs (soundness 8).
 */
import type { Logger } from '../../../observability/observability.js'
import type { ConnectOptions } from '../../../postgres/driver/connect.js'
import type { Pool } from '../../../postgres/postgres.js'
import type { Clock } from '../../../time/clock.js'
import type { Source } from '../../feed.js'
import type { Position } from '../../position.js'
import type { TableId } from '../../table-id.js'

/** What the source needs of a pool; a transaction pooler in between does no harm. */
export type OutboxPool = Pick<Pool, 'query' | 'transaction'>

export interface OutboxSourceOptions {
  /** The database, as a role that may read and write the feed's own tables (`tidemark_app`, `tidemark_feed`). */
  readonly pool: OutboxPool
  /** Where it keeps how far it is; one process at a time reads under one name. */
  readonly name: string
  /** Tables that the outbox is installed on, or every one of them. */
  readonly tables: readonly TableId[] | 'installed'
  /** A session to wait for notifications in, so that changes are seen at once. Without one, or while it is lost, the outbox is only polled. */
  readonly listen?: ConnectOptions
  /** How often the outbox is looked at, which is also how often freshness is proven. Default 100, with `listen` 500. */
  readonly pollMs?: number
  /** A reader that was silent for so long is taken over. Default 2,000. */
  readonly leaseMs?: number
  /** Default 2,000. */
  readonly maxPieceChanges?: number
  /** Default 1 MiB. */
  readonly maxPieceBytes?: number
  readonly clock?: Clock
  readonly log?: Logger
}

export interface OutboxSource extends Source {
  readonly kind: 'outbox'
  /**
   * Checks that the outbox is installed on the tables, and makes the reader where it is missing. Gives the position from which the feed goes
   * on: every transaction that commits from now on will be given. `events` does the same by itself. Raises TM_FEED_OUTBOX_MISSING.
   */
  open(signal?: AbortSignal): Promise<Position>
}
