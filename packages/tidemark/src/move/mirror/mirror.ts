/**
 * The way back while Postgres takes the writes: every change of the moved tables flows into the SQLite file, so that rolling back is a switch
 * (MOVE-5). Applied exactly once: the position is kept in the file, in the transaction of the changes.
 *
 * - `prepare-mirror.ts`  prepareMirror, dropMirror: slot, publication and replica identities
 * - `open-mirror.ts`     openMirror
 */

import type { Source } from '../../feed/feed.js'
import type { Position } from '../../feed/position.js'
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { Clock } from '../../time/clock.js'
import type { HeldRun } from '../live/live-run.js'
import type { MoveListener } from '../move.js'

export interface PrepareMirrorOptions {
  readonly held: HeldRun
  /** As the owner of the tables. */
  readonly target: ConnectOptions
  /** As a role with REPLICATION. Default: `target`. */
  readonly feedTarget?: ConnectOptions
  readonly signal?: AbortSignal
  readonly clock?: Clock
}

export interface PreparedMirror {
  /** For the record of the move. */
  readonly slotName: string
  readonly publication: string
  /** Every change after it will be given; its epoch is the epoch of all positions of this mirror. */
  readonly position: Position
}

export interface MirrorOptions extends PrepareMirrorOptions {
  /** Default: the slot of the run. */
  readonly source?: Source
  readonly onEvent?: MoveListener
  /** How long a read or write waits for a locked file. Default 2,000. */
  readonly busyTimeoutMs?: number
  /**
   * What happens where changes are missing from the slot: TM_MOVE_MIRROR_LOST is raised (default), or every table is compared and put right
   * before the mirror goes on.
   */
  readonly onLost?: 'raise' | 'resync'
}

export interface MirrorTick {
  readonly transactions: number
  readonly changes: number
  /** Changes that the file refused, or could not hold as they are. */
  readonly differences: number
  /** Everything that Postgres had committed a moment ago is in the file. */
  readonly caughtUp: boolean
}

export interface MirrorLag {
  /** Bytes of the log that Postgres keeps for the mirror. */
  readonly behindBytes: number
  /** Age of what the file holds; 0 where it is proven fresh. */
  readonly behindMs: number
  /** Bytes left before Postgres gives the slot up; null where no bound is set. */
  readonly headroomBytes: number | null
  readonly changesPerSecond: number
}

export interface ResyncReport {
  readonly table: string
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  readonly equal: number
  readonly refused: number
}

/** One per process and run. The calls of one object come one after another, but for `position` and `lag`. */
export interface Mirror {
  /**
   * Takes what has come within `maxMs` (default 50; longer only to end a transaction that it has begun) into the file. Raises
   * TM_MOVE_FENCED, TM_MOVE_MIRROR_LOST, TM_MOVE_MIRROR_SCHEMA, TM_SQLITE_LOCKED.
   */
  tick(options?: { readonly maxMs?: number }): Promise<MirrorTick>
  /** How far the file is proven to be; what is stored in it may be a little behind while nothing changes. */
  position(): Position
  /**
   * Ticks until the file holds everything up to a position, brings the file's counters of ids up to the identities of Postgres, and stores
   * the position in the file. Raises TM_TIME_TIMEOUT.
   */
  drainTo(position: Position, options: { readonly timeoutMs: number }): Promise<void>
  /** Rows of the file that are not as Postgres has them, because the file refuses or cannot hold them. */
  differences(): Promise<number>
  lag(): Promise<MirrorLag>
  /** Compares a table (its name in the file) with Postgres and writes what differs. */
  resync(table: string): Promise<ResyncReport>
  close(): Promise<void>
}
