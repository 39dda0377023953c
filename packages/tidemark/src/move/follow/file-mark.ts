/**
 * Tells a file from an older copy of it that was put back in its place: the same inode and the same capture, and a log that may have grown past
 * what was applied, with other entries. So the file carries a mark, drawn anew as following goes on, and the record knows which.
 */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { isTidemarkError, TidemarkError } from '../../errors.js'
import type { CaptureDatabase, CaptureHold } from '../../sqlite/capture/capture.js'
import { readMark, writeMark } from '../../sqlite/capture/control.js'
import type { HeldRun } from '../live/live-run.js'
import { inFencedTransaction } from './fenced-transaction.js'
import type { FollowSettings } from './follow-settings.js'

const everyMs = 1000
/** How long other writers are waited for; later is as good. */
const timeoutMs = 200

/** Marks that the file may carry: two while it gets a new one. */
type Marks = readonly (string | null)[]

const readMarks = async (client: pg.Client, { run }: HeldRun): Promise<Marks | null> => {
  const { rows } = await client.query<{ marks: Marks | null }>(
    "SELECT report -> 'fileMarks' AS marks FROM tidemark.move_runs WHERE id = $1",
    [run.id],
  )
  return rows[0]?.marks ?? null
}

const storeMarks = async (client: pg.Client, held: HeldRun, marks: Marks): Promise<void> => {
  await inFencedTransaction(client, held, {}, () =>
    client.query("UPDATE tidemark.move_runs SET report = report || jsonb_build_object('fileMarks', $2::jsonb) WHERE id = $1", [
      held.run.id,
      JSON.stringify(marks),
    ]),
  )
}

/** The record forgets which marks it knew: the file is captured anew. */
export const forgetMarks = async (client: pg.Client, { run, epoch }: HeldRun): Promise<void> => {
  await client.query("UPDATE tidemark.move_runs SET report = report - 'fileMarks' WHERE id = $1 AND epoch = $2", [run.id, epoch])
}

export class FileMark {
  readonly #file: CaptureDatabase
  readonly #hold: CaptureHold
  readonly #held: HeldRun
  readonly #settings: FollowSettings
  /** What the record says; undefined where it has to be asked, null where it knows of none. */
  #marks: Marks | null | undefined
  /** What the file had when it was last looked at. */
  #seen: string | null | undefined
  #markedSeq: bigint | undefined
  #nextMs = 0

  constructor(file: CaptureDatabase, hold: CaptureHold, held: HeldRun, settings: FollowSettings) {
    this.#file = file
    this.#hold = hold
    this.#held = held
    this.#settings = settings
  }

  /** To be called before {@link check}. */
  async load(client: pg.Client): Promise<void> {
    if (this.#marks === undefined) this.#marks = await readMarks(client, this.#held)
  }

  /** In the read transaction of the log. Raises TM_SQLITE_CHANGED. */
  check(): void {
    const mark = readMark(this.#file.db)
    if (this.#marks && !this.#marks.includes(mark))
      throw new TidemarkError('TM_SQLITE_CHANGED', {
        path: this.#file.path,
        reason: 'an older copy was put in its place: it lacks what following noted in it since',
      })
    this.#seen = mark
  }

  /** Gives the file a new mark, now and then, where something was applied since. The record learns of it before the file does. */
  async renew(client: pg.Client, appliedSeq: bigint, isLast = false): Promise<void> {
    const { clock } = this.#settings
    const isDue = isLast || clock.monotonicMs() >= this.#nextMs
    if (this.#seen === undefined || !isDue || this.#markedSeq === appliedSeq) return
    this.#nextMs = clock.monotonicMs() + everyMs
    const mark = randomUUID()
    const before = this.#seen
    this.#marks = undefined
    await storeMarks(client, this.#held, [before, mark])
    if (!(await this.#write(mark))) return
    await storeMarks(client, this.#held, [mark])
    this.#marks = [mark]
    this.#seen = mark
    this.#markedSeq = appliedSeq
  }

  async #write(mark: string): Promise<boolean> {
    try {
      await this.#file.write((db) => writeMark(db, this.#hold, mark), { timeoutMs })
      return true
    } catch (error) {
      if (isTidemarkError(error, 'TM_SQLITE_LOCKED')) return false
      throw error
    }
  }
}
