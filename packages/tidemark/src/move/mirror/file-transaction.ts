/** The mirror's own write transaction in the file: held open across pieces of a large transaction, and marked so that the fence stands aside. */
import { TidemarkError } from '../../errors.js'
import type { CaptureDatabase, CaptureHold } from '../../sqlite/capture/capture.js'
import { beginMirrorWrite, endMirrorWrite } from '../../sqlite/capture/control.js'
import { sqliteCodeOf, toSqliteError } from '../../sqlite/sqlite-error.js'
import type { Clock } from '../../time/clock.js'

export interface FileTransactionOptions {
  readonly file: CaptureDatabase
  readonly hold: CaptureHold
  /** How long to wait for other programs' locks. */
  readonly busyTimeoutMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

const pauseMs = 5

const isBusy = (error: unknown): boolean => /^SQLITE_(?:BUSY|LOCKED|PROTOCOL)/.test(sqliteCodeOf(error) ?? '')

export class FileTransaction {
  readonly #options: FileTransactionOptions

  constructor(options: FileTransactionOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#options.file.db.inTransaction
  }

  /** Raises TM_MOVE_FENCED, TM_MOVE_NOT_ALLOWED where the file is not cut, TM_SQLITE_CHANGED, TM_SQLITE_LOCKED. */
  async begin(): Promise<void> {
    const { file, hold } = this.#options
    if (file.db.inTransaction) return
    await this.#patiently(() => file.db.exec('BEGIN IMMEDIATE'))
    try {
      beginMirrorWrite(file.db, hold)
    } catch (error) {
      this.rollback()
      throw error
    }
  }

  /** Makes everything durable, together with how far the mirror has come. */
  async commit(mirroredPosition: string): Promise<void> {
    const { db } = this.#options.file
    endMirrorWrite(db, mirroredPosition)
    // Where a reader of a file without WAL stands in the way, the transaction stays as it is and is committed a little later.
    await this.#patiently(() => db.exec('COMMIT'))
  }

  rollback(): void {
    const { db } = this.#options.file
    if (db.inTransaction) db.exec('ROLLBACK')
  }

  async #patiently(work: () => void): Promise<void> {
    const { file, busyTimeoutMs, clock, signal } = this.#options
    const endMs = clock.monotonicMs() + busyTimeoutMs
    for (;;) {
      try {
        work()
        return
      } catch (error) {
        if (!isBusy(error)) throw toSqliteError(error, file.path)
        if (clock.monotonicMs() >= endMs)
          throw new TidemarkError('TM_SQLITE_LOCKED', { path: file.path, timeoutMs: busyTimeoutMs }, { cause: error })
      }
      await clock.sleep(pauseMs, signal)
    }
  }
}
