/**
 * Continuous verification: while a move is live, both sides are compared in the background with verification's own readers. Every range of
 * every table once after its copy, then every key that the log names, after its change was applied. What is on its way (has a later entry
 * in the log) is left to its own later check, so a busy application causes no false alarm.
 *
 * {@link file://./open-checks.ts} opens them; {@link file://./differing-keys.ts} compares one table for a reconcile.
 */
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { Clock } from '../../time/clock.js'
import type { HeldRun } from '../live/live-run.js'
import type { MoveListener, RowDifference } from '../move.js'
import type { Key } from '../row-keys.js'

/** `follow`: the file is the truth and Postgres the copy. `mirror`: the other way round. */
export type CheckDirection = 'follow' | 'mirror'

export interface ChecksOptions {
  readonly held: HeldRun
  readonly target: ConnectOptions
  readonly direction: CheckDirection
  readonly onEvent?: MoveListener
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** The part of the time that checks may take, above 0 up to 1. Default 0.3: a tick is followed by a pause in proportion to its work. */
  readonly share?: number
  /** How long a read waits for a locked file. Default 2,000. */
  readonly busyTimeoutMs?: number
}

/** How far the copy has come. */
export interface CheckPoint {
  /** Entries of the log up to here are in the copy. */
  readonly appliedSeq: bigint
  /**
   * `mirror` alone: how far the mirror has come, as the feed writes positions; proofs of freshness count. Default: what the record of the
   * move says.
   */
  readonly mirroredPosition?: string | null
}

export interface TickReport {
  /** False where the pause after the last tick was not over, or nothing was left to do. */
  readonly worked: boolean
  /** How long to wait before another tick can do anything: the rest of the pause. */
  readonly pauseMs: number
  readonly rowsChecked: number
  readonly keysChecked: number
  readonly checkedSeq: bigint
  /** Rows on record as different. */
  readonly differences: number
  /** True where every range of every table was compared. */
  readonly rangesDone: boolean
}

/** A row on record as different. */
export interface RecordedDifference extends RowDifference {
  readonly table: string
  readonly foundAt: Date
}

export interface GateReport {
  /** No range is left, every changed key was compared, and no row differs. */
  readonly ok: boolean
  /** Tables whose first comparison is not complete. */
  readonly rangesLeft: readonly string[]
  readonly keysChecked: number
  /** All rows that differ … */
  readonly differenceCount: number
  /** … and the first of them, at most 20. */
  readonly differences: readonly RecordedDifference[]
  readonly elapsedMs: number
}

export interface TableCheckStatus {
  readonly table: string
  readonly rows: number
  readonly rowsChecked: number
  readonly done: boolean
  /** Comparisons of the whole table begun since it was copied; more than one after a rebuild. */
  readonly pass: number
}

export interface ChecksStatus {
  readonly tables: readonly TableCheckStatus[]
  readonly rangesDone: boolean
  readonly checkedSeq: bigint
  /** Rows found to differ that wait for a second look. */
  readonly doubtful: number
  readonly differences: number
}

/** One per process and run. The calls of one object come one after another. */
export interface Checks {
  /** Does a bounded piece of work: changed keys first, then ranges. Raises TM_MOVE_FENCED where another process has taken the move over. */
  tick(point: CheckPoint): Promise<TickReport>
  /**
   * The proof that a switch asks for: with the truth fenced and the copy at its head, compares what is left of the changed keys, and looks
   * once more at the rows on record. No full pass but for tables whose rows cannot be told apart and that changed.
   */
  gate(point: CheckPoint & { readonly head: bigint }): Promise<GateReport>
  /** The table was copied anew: forgets what was found, and compares it from the beginning. */
  restartTable(table: string): Promise<void>
  status(): ChecksStatus
  close(): Promise<void>
}

/** A row that is not alike on the two sides. */
export interface DifferingKey {
  readonly state: 'missing' | 'extra' | 'differs'
  /** In the order of the columns by which the log names rows; null where the file's value cannot be told from what Postgres holds. */
  readonly key: Key | null
  /** As Postgres knows it: canonical texts; null where no row of Postgres can have that key. */
  readonly targetKey: readonly string[] | null
  /** The key as people read it. */
  readonly printed: string
}
