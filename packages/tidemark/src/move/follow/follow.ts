/**
 * Following: brings every change of the SQLite file into Postgres while the application goes on writing to the file.
 *
 * The log names keys only. A tick reads a stretch of it and the rows as they are now, all in one short read, and makes the target's rows the
 * same in one transaction together with how far it came (MOVE-2): whoever dies in between repeats what changes nothing.
 *
 * {@link file://./open-follow.ts} opens it; {@link file://./prepare-live.ts} makes a target ready for it.
 */
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { Clock } from '../../time/clock.js'
import type { HeldRun } from '../live/live-run.js'
import type { MoveListener } from '../move.js'
import type { Key } from '../row-keys.js'

export interface FollowOptions {
  /** A run whose capture is installed. */
  readonly held: HeldRun
  readonly target: ConnectOptions
  readonly onEvent?: MoveListener
  /** Ends waiting and reconnecting; a transaction that is being committed is waited for. */
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** How long one read of the file may take, about. Default 30; a single huge row may take longer. */
  readonly maxReadMs?: number
  /** Bytes of one Postgres transaction, about. Default 8 MiB. */
  readonly maxBatchBytes?: number
  /** How long a locked file is waited for at a time. Default 2,000; it is tried again after a pause. */
  readonly busyTimeoutMs?: number
}

/** What one tick came to. */
export interface FollowTick {
  /** Entries of the log that are in Postgres now and were not before. */
  readonly applied: number
  /** Entries up to here are in Postgres. */
  readonly appliedSeq: bigint
  /** True where the log ended there and no table waits to be copied anew: both sides are the same as of one moment (soundness 18). */
  readonly atHead: boolean
  /** Keys of the rows that were brought over, by source table; empty for a table that was copied anew since no key tells what changed. */
  readonly changedKeys: ReadonlyMap<string, readonly Key[]>
  /** Source tables that were rebuilt or numbered anew, and were copied or compared as a whole: earlier comparisons of them mean nothing. */
  readonly renewed: readonly string[]
  /** Rows that could not be carried, and earlier ones that are carried now or are gone. */
  readonly rejected: number
  readonly acceptedAgain: number
}

export interface FollowLag {
  /** Entries of the log that are not in Postgres. */
  readonly behind: number
  /** Since when, in milliseconds: how old the oldest of them is at most; 0 where there is none. */
  readonly behindMs: number
}

export interface Reconciliation {
  readonly table: string
  /** Keys written into the log, so that the next ticks bring their rows over. */
  readonly logged: number
  /** Rows of Postgres whose key the file does not hold, removed at once. */
  readonly removed: number
  /** True where the table was copied anew instead: its rows cannot be told apart, or most of them differed. */
  readonly reloaded: boolean
}

/** One per process and run; its calls come one after another. */
export interface Follow {
  /**
   * Brings the next stretch of the log over. Waits out a lost Postgres and a locked file, with pauses that grow. Raises TM_MOVE_FENCED,
   * TM_MOVE_SCHEMA_CHANGED, TM_SQLITE_CHANGED and what does not pass by itself.
   */
  tick(): Promise<FollowTick>
  /** Ticks until one reached the head of the log; answers with it. Once nobody writes to the file, that is the end. */
  drain(signal?: AbortSignal): Promise<bigint>
  /** As of the last tick. */
  lag(): FollowLag
  /** Compares a table as a whole, and sees to it that what differs is brought over. */
  reconcile(table: string): Promise<Reconciliation>
  close(): Promise<void>
}
