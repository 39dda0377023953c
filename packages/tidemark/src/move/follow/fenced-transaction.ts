/** Postgres transactions that commit only while this process holds the move. */
import type pg from 'pg'
import type { HeldRun } from '../live/live-run.js'
import type { MoveState } from '../live/live-state.js'
import { assertHeld, stateError } from '../live/record.js'

/** What the record says within a transaction. */
export interface FollowRecord {
  readonly appliedSeq: bigint
  readonly checkedSeq: bigint
  readonly unsettled: readonly string[]
}

interface RecordRow {
  readonly applied_seq: string
  readonly checked_seq: string
  readonly unsettled: string[]
  readonly state: MoveState
}

/** What becomes durable in the record together with the rows. */
export interface RecordChange {
  readonly appliedSeq?: bigint
  /** Tables that have to be brought over as a whole before following counts as being at its head. */
  readonly unsettle?: readonly string[]
  readonly settle?: readonly string[]
}

/** States in which SQLite holds the truth, so that its changes may be applied. */
const followable: readonly MoveState[] = ['planned', 'copying', 'copied', 'following', 'cuttingOver', 'rolledBack']

/** Locks the record and writes into it. Raises TM_MOVE_FENCED, and TM_MOVE_STATE once Postgres takes the application's writes. */
const changeRecord = async (client: pg.Client, held: HeldRun, change: RecordChange): Promise<FollowRecord> => {
  const { rows } = await client.query<RecordRow>(
    `UPDATE tidemark.move_runs
        SET applied_seq = coalesce($3, applied_seq), updated_at = now(),
            unsettled = ARRAY (SELECT name FROM unnest(unsettled || $4::text[]) AS name WHERE name <> ALL ($5::text[]) GROUP BY 1 ORDER BY 1)
      WHERE id = $1 AND epoch = $2 RETURNING applied_seq, checked_seq, unsettled, state`,
    [held.run.id, held.epoch, change.appliedSeq ?? null, change.unsettle ?? [], change.settle ?? []],
  )
  const row = rows[0]
  if (!row) await assertHeld(client, held)
  if (!row || !followable.includes(row.state)) throw stateError(held.run.path, row?.state ?? held.run.state, 'following')
  return { appliedSeq: BigInt(row.applied_seq), checkedSeq: BigInt(row.checked_seq), unsettled: row.unsettled }
}

const inTransaction = async <T>(client: pg.Client, work: () => Promise<T>): Promise<T> => {
  await client.query("BEGIN; SET LOCAL tidemark.origin = 'move'")
  try {
    const result = await work()
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/**
 * A short transaction of the move. The record is locked from its beginning: whoever takes the move over waits for its end, and whoever lost it
 * fails before anything is done.
 */
export const inFencedTransaction = <T>(
  client: pg.Client,
  held: HeldRun,
  change: RecordChange,
  work: () => Promise<T>,
): Promise<{ readonly record: FollowRecord; readonly result: T }> =>
  inTransaction(client, async () => {
    const record = await changeRecord(client, held, change)
    return { record, result: await work() }
  })

/** A long one: the record is locked at its end, so that others can look at it meanwhile. */
export const inLongFencedTransaction = <T>(
  client: pg.Client,
  held: HeldRun,
  change: RecordChange,
  work: () => Promise<T>,
): Promise<{ readonly record: FollowRecord; readonly result: T }> =>
  inTransaction(client, async () => {
    const result = await work()
    return { record: await changeRecord(client, held, change), result }
  })
