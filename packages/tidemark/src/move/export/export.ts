/** Postgres → a new SQLite file, at any time of a move (R90). `export-move.ts` has exportMove, `source-sql.ts` what the file is made of. */
import type { ConnectOptions } from '../../postgres/driver/connect.js'
import type { LiveRun } from '../live/live-run.js'
import type { MoveListener } from '../move.js'

export interface ExportOptions {
  readonly run: Pick<LiveRun, 'id' | 'path' | 'plan'>
  readonly target: ConnectOptions
  /** The file to make; it must not exist. */
  readonly outPath: string
  readonly onEvent?: MoveListener
  readonly signal?: AbortSignal
}

export interface ExportedTable {
  readonly table: string
  readonly rows: number
  /** Rows with a value in the nearest form that the file can hold. */
  readonly nearest: number
  /** Rows that the file's own rules refuse. */
  readonly refused: number
}

export interface ExportDifference {
  readonly table: string
  readonly key: string
  readonly column: string | null
  readonly reason: string
}

export interface ExportReport {
  /** Every row is in the file as Postgres has it, and nothing was left out. */
  readonly ok: boolean
  readonly path: string
  readonly bytes: number
  readonly tables: readonly ExportedTable[]
  /** The first values and rows that are not as Postgres has them, at most 100. */
  readonly differences: readonly ExportDifference[]
  /** What is not in the file as it was in the original: objects, and rows that were never moved. */
  readonly left: readonly { readonly name: string; readonly reason: string }[]
  readonly elapsedMs: number
}
