/** What every command that changes a live move is given. */
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { Clock } from '../../time/clock.js'
import type { MoveListener } from '../move.js'

export interface LiveMoveOptions {
  /** The SQLite file. */
  readonly path: string
  /** As the migrator. */
  readonly target: ConnectOptions
  /** The login that reads the write-ahead log, for the mirror's slot (tidemark_feed). Default: `target`, which then needs REPLICATION. */
  readonly feedTarget?: ConnectOptions
  /** Where the file is being moved into several schemas. Default: the newest move of the file. */
  readonly targetSchema?: string
  readonly onEvent?: MoveListener
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** How long a read or write waits for a locked file. Default 2,000. */
  readonly busyTimeoutMs?: number
}

export interface SwitchOptions extends LiveMoveOptions {
  /** How long writes may be refused; beyond it the switch undoes itself. Default 2,000. */
  readonly maxPauseMs?: number
  /**
   * A command to run when the switch is done, as its arguments (no shell): told of it by TIDEMARK_MOVE_STATE and DATABASE_PROVIDER in its
   * environment. Its failure is reported and undoes nothing.
   */
  readonly onSwitch?: readonly string[]
}

/** One step of a switch and what it took. */
export interface StepTime {
  readonly step: string
  readonly elapsedMs: number
}

/** How the command after a switch ended. */
export interface CommandOutcome {
  readonly command: readonly string[]
  readonly exitCode: number | null
  /** The end of what it wrote on stderr, or why it could not be started; null where it ended well. */
  readonly failure: string | null
}

export interface SwitchReport {
  readonly ok: boolean
  readonly runId: string
  /** How long writes were refused. */
  readonly pauseMs: number
  readonly elapsedMs: number
  readonly steps: readonly StepTime[]
  /** Of the record from now on. */
  readonly epoch: string
  /** True where a switch that another process had begun was finished. */
  readonly resumed: boolean
  readonly command: CommandOutcome | null
}
