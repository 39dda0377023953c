/**
 * A rollback that was left behind. What the dead process came to, and what becomes of it:
 *
 * | the last thing it did                 | record      | control row | triggers of Postgres | the application      | whoever comes next |
 * |---------------------------------------|-------------|-------------|----------------------|----------------------|--------------------|
 * | took the move over                    | mirroring   | cut         | none                 | writes to Postgres   | mirrors            |
 * | noted the rollback                    | rollingBack | cut         | none                 | writes to Postgres   | undoes             |
 * | fenced Postgres, drained, compared    | rollingBack | cut         | on every table       | nobody writes        | undoes             |
 * | opened the file                       | rollingBack | open        | on every table       | writes to SQLite     | finishes           |
 * | noted the end                         | rolledBack  | open        | on every table       | writes to SQLite     | follows            |
 *
 * Undoing is one transaction of Postgres. The file is opened only when Postgres is fenced and everything of it is in the file, so an open file
 * means that nothing is left to do but to say so.
 */
import type pg from 'pg'
import type { CaptureDatabase } from '../../sqlite/capture/capture.js'
import { takeFile } from '../cutover/settle-cutover.js'
import { crashPoint } from '../live/crash-point.js'
import type { HeldRun } from '../live/live-run.js'
import { advance } from '../live/record.js'
import { allowWrites, refuseWrites, unfencedTables } from '../live/refuse-writes.js'
import type { SwitchOptions } from '../live/switch-options.js'
import { dropMirror } from '../mirror/prepare-mirror.js'

const inTransaction = async (client: pg.Client, work: () => Promise<HeldRun>): Promise<HeldRun> => {
  await client.query('BEGIN')
  try {
    const after = await work()
    await client.query('COMMIT')
    return after
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** Postgres takes writes again. */
const undoRollback = (client: pg.Client, held: HeldRun, reason: string): Promise<HeldRun> =>
  inTransaction(client, async () => {
    await allowWrites(client, held.run.plan)
    return advance(client, held, 'rollingBack', 'mirroring', { note: reason })
  })

export interface EndOfRollback {
  readonly note: string
  /** Entries of the file's log up to here came from Postgres; null where that is not known, and they are brought over once more. */
  readonly head: bigint | null
}

/** The file is open: what is left is to say so, and to take the mirror's slot away, which keeps WAL. */
export const endRollback = async (
  client: pg.Client,
  held: HeldRun,
  { note, head }: EndOfRollback,
  options: SwitchOptions,
): Promise<HeldRun> => {
  const { signal: _stopped, ...rest } = options
  const after = await inTransaction(client, async () => {
    // They stand since before the file was opened, unless somebody took them off by hand.
    if ((await unfencedTables(client, held.run.plan)).length > 0) await refuseWrites(client, held.run.plan)
    // Where the file holds values less finely, it is the truth now: those tables are compared again when following goes on.
    await client.query(
      `UPDATE tidemark.move_runs SET applied_seq = greatest(applied_seq, $2), unsettled = ARRAY (
         SELECT unnest(unsettled) UNION SELECT table_name FROM tidemark.move_narrowed WHERE run_id = $1 ORDER BY 1) WHERE id = $1`,
      [held.run.id, head ?? 0n],
    )
    return advance(client, held, 'rollingBack', 'rolledBack', { note })
  })
  crashPoint('rollback.ended')
  await dropMirror({ ...rest, held: after })
  await client.query('UPDATE tidemark.move_runs SET slot_name = NULL WHERE id = $1', [held.run.id])
  return after
}

/** Finishes or undoes a rollback that was left behind. Answers with the record in its new state: `rolledBack` or `mirroring`. */
export const settleRollback = async (
  client: pg.Client,
  file: CaptureDatabase,
  held: HeldRun,
  options: SwitchOptions & { readonly reason?: string },
): Promise<HeldRun> => {
  const { fence } = await takeFile(file, held)
  const after =
    fence === 'cut'
      ? await undoRollback(client, held, options.reason ?? 'undone after a crash')
      : await endRollback(client, held, { note: 'finished after a crash', head: null }, options)
  options.onEvent?.({ type: 'state', from: 'rollingBack', to: after.run.state })
  return after
}
