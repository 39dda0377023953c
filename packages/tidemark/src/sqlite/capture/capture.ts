/**
 * Capture: what a move puts into the application's SQLite file so that no write goes unseen, by whatever program (MOVE-1).
 *
 * All of it is named `_tidemark_…` and goes again without a trace. The log holds only the keys of changed rows; what became of a row is
 * read from the row itself. Triggers run inside the application's own SQLite, so they are plain INSERT … SELECT.
 */

/** How the log names a row. */
export type LogKey =
  | { readonly kind: 'columns'; readonly columns: readonly string[] }
  | { readonly kind: 'rowid'; readonly name: string }
  /** Rows cannot be told apart: the log says only that the table changed. */
  | { readonly kind: 'none' }

export interface CaptureTable {
  /** Number of the table within this capture, from 1. */
  readonly id: number
  readonly name: string
  readonly key: LogKey
}

/** A key as SQLite has it, each value in its own storage class; text as the bytes in the file where they are no UTF-8. */
export type LogKeyValue = bigint | number | string | Buffer | null

export interface LogEntry {
  /** Increases by one with each entry, in the order of commits. */
  readonly seq: bigint
  readonly table: number
  /** null for a table without a key. */
  readonly key: readonly LogKeyValue[] | null
}

/**
 * Who may write: `open` anybody, `cutting` nobody until a moment (so that a crash frees the application by itself), `cut` nobody but the
 * mirror.
 */
export type FenceState = 'open' | 'cutting' | 'cut'

/** The one row of `_tidemark_control`. */
export interface ControlRow {
  readonly captureId: string
  readonly runId: string
  /** Raised with each takeover, as in Postgres. */
  readonly epoch: bigint
  readonly fence: FenceState
  /** Milliseconds since 1970 by SQLite's own clock; null unless cutting. */
  readonly cuttingUntil: number | null
  /** How far the mirror has come, as the feed writes positions; null before the cutover. */
  readonly mirroredPosition: string | null
  /** Why the file was opened again without Postgres, if it was. */
  readonly note: string | null
}

/** What a look at the file's schema found, in the same read transaction as the log. */
export interface SchemaWatch {
  readonly schemaVersion: number
  /** Tables whose triggers are gone or are not ours any more: rebuilt, dropped and made again. */
  readonly unarmed: readonly string[]
  /** Captured tables that are no longer there. */
  readonly dropped: readonly string[]
  /** Tables that came after the capture. */
  readonly added: readonly string[]
  /** Captured tables with other columns or another key than at the time of the capture. */
  readonly reshaped: readonly string[]
}

/** What `_tidemark_` objects are told by, in plans and reports. */
export const isCaptureName = (name: string): boolean => /^_tidemark_/i.test(name)
