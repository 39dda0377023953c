/** Removes from the log what was applied and compared, now and then. */
import { isTidemarkError } from '../../errors.js'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { pruneLog } from '../../sqlite/capture/log.js'
import type { FollowRecord } from './fenced-transaction.js'
import type { FollowSettings } from './follow-settings.js'

const everyMs = 1000
/** Entries removed at a time: the application's file is locked only for moments. */
const mostEntries = 20_000n
/** How long other writers are waited for; later is as good. */
const timeoutMs = 200

const oldestEntry = (db: CaptureDatabase['db']): bigint | null =>
  db.prepare<[], bigint | null>('SELECT min(seq) FROM _tidemark_log').safeIntegers(true).pluck().get() ?? null

export class LogPruner {
  readonly #capture: CaptureDatabase
  readonly #captureId: string
  readonly #settings: FollowSettings
  #nextMs = 0

  constructor(capture: CaptureDatabase, captureId: string, settings: FollowSettings) {
    this.#capture = capture
    this.#captureId = captureId
    this.#settings = settings
  }

  /** Does nothing most of the time. */
  async prune({ appliedSeq, checkedSeq }: FollowRecord): Promise<void> {
    const { clock } = this.#settings
    if (clock.monotonicMs() < this.#nextMs) return
    this.#nextMs = clock.monotonicMs() + everyMs
    await this.#pruneUpTo(appliedSeq < checkedSeq ? appliedSeq : checkedSeq).catch((error: unknown) => {
      if (!isTidemarkError(error, 'TM_SQLITE_LOCKED')) throw error
    })
  }

  async #pruneUpTo(upTo: bigint): Promise<void> {
    const wait = { signal: this.#settings.signal, timeoutMs }
    const tail = await this.#capture.read(oldestEntry, wait)
    if (tail === null || tail > upTo) return
    const end = tail + mostEntries < upTo ? tail + mostEntries : upTo
    await pruneLog(this.#capture, this.#captureId, end, wait)
  }
}
