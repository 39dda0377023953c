/**
 * Capture: what a move puts into the application's SQLite file so that no write goes unseen, by whatever program (MOVE-1).
 *
 * All of it is named `_tidemark_…` and goes again without a trace. The log holds only the keys of changed rows; what became of a row is
 * read from the row itself. Triggers run inside the application's own SQLite, so they are plain INSERT … SELECT.
 *
 * - `capture-database.ts`  openCaptureDatabase: the connection for our small writes
 * - `install.ts`           installCapture, rearm · `let-go.ts` letGo · `remove.ts` removeCapture
 * - `log.ts`               readLog, logHead, pruneLog, appendLog
 * - `row-condition.ts`     createRowCondition: finds the row of a key, exactly
 * - `control.ts`           readControl, takeControl, beginMirrorWrite, endMirrorWrite, writeNote
 * - `watch.ts`             watchSchema · `identity.ts` checkIdentity
 * - `cut.ts`               beginCut, extendCut, seal, openAgain
 */
import type { RawText } from '../raw-text.js'
import type { SqliteDatabase, SqliteFileId } from '../sqlite.js'

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

/**
 * A key as SQLite has it, each value in its own storage class: integers as bigint, reals as number. Text that is no valid UTF-8, and any
 * text of a UTF-16 file, as {@link RawText}.
 */
export type LogKeyValue = bigint | number | string | Buffer | RawText | null

export interface LogEntry {
  /** Increases with each entry, in the order of commits. */
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

/** In whose name something is done to a captured file. An epoch above the file's becomes the file's; one below it is refused. */
export interface CaptureHold {
  readonly captureId: string
  readonly epoch: bigint
}

/** What a look at the file's schema found, in the same read transaction as the log. */
export interface SchemaWatch {
  /** The application's own: what Tidemark itself did to the schema does not count. The same number as in a plan. */
  readonly schemaVersion: number
  /** True where the schema is not the one last armed, even if no table is named below: `rearm` takes note of it. */
  readonly moved: boolean
  /**
   * Tables whose triggers are gone or are not ours any more (rebuilt, dropped and made again, another unique index), and those keyed by a
   * rowid that VACUUM may have numbered anew: to be armed again and read whole.
   */
  readonly unarmed: readonly string[]
  /** Captured tables that are no longer there. */
  readonly dropped: readonly string[]
  /** Tables that came after the capture. */
  readonly added: readonly string[]
  /** Captured tables with other columns or another key than at the time of the capture. */
  readonly reshaped: readonly string[]
}

export interface WaitOptions {
  /** How long to wait for other writers in all. Default: what the file was opened with. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * A connection that writes. Locks are waited for in tries of a few milliseconds with the event loop free in between; what a transaction does
 * is done at once, and again from the start where a lock was in its way. Raises TM_SQLITE_LOCKED when the time is over.
 */
export interface CaptureDatabase {
  /** Absolute. */
  readonly path: string
  readonly db: SqliteDatabase
  /** The file as it was opened. */
  readonly fileId: SqliteFileId
  /** One read transaction. */
  read<T>(work: (db: SqliteDatabase) => T, options?: WaitOptions): Promise<T>
  /** One BEGIN IMMEDIATE, durable when it resolves. */
  write<T>(work: (db: SqliteDatabase) => T, options?: WaitOptions): Promise<T>
  close(): void
}

/** What `_tidemark_` objects are told by, in plans and reports. */
export const isCaptureName = (name: string): boolean => /^_tidemark_/i.test(name)
