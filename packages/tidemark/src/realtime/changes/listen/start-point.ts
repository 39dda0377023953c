import { parseLsn } from '../../../feed/position.js'
import { parseSnapshot, type Snapshot } from '../../../feed/sources/wal/snapshot.js'
import type { Pool } from '../../../postgres/postgres.js'
import type { Clock } from '../../../time/clock.js'

/** A moment in the database: what was committed and visible, and how far the log was before. */
export interface StartPoint {
  readonly snapshot: Snapshot
  /** Where the log ended before the snapshot was taken: whatever was visible and complete by then lies before it. */
  readonly logEnd: bigint | undefined
  /** On the monotonic clock, when it was known. */
  readonly at: number
}

export type FindStartPoint = () => Promise<StartPoint>

interface Row {
  readonly snapshot: string
}

/**
 * Finds out what is visible now. Those who ask while an answer is under way wait for the next one, together: an answer that was asked for before
 * would be too early for them.
 */
export const createStartPoint = (pool: Pick<Pool, 'withClient'>, clock: Clock): FindStartPoint => {
  let running: Promise<StartPoint> | undefined
  let next: Promise<StartPoint> | undefined

  const find = (): Promise<StartPoint> =>
    pool.withClient(async (client) => {
      // In this order: what ends between the two is beyond the log's end, or not visible yet.
      const log = await client.query<{ lsn: string | null }>(
        'select case when not pg_is_in_recovery() then pg_current_wal_insert_lsn()::text end as lsn',
      )
      const { rows } = await client.query<Row>('select pg_current_snapshot()::text as snapshot')
      const lsn = log.rows[0]?.lsn ?? null
      const snapshot = parseSnapshot(rows[0]?.snapshot ?? '')
      return { snapshot, logEnd: lsn === null ? undefined : parseLsn(lsn), at: clock.monotonicMs() }
    })

  const begin = (): Promise<StartPoint> => {
    const found = find().finally(() => {
      if (running === found) running = undefined
    })
    running = found
    return found
  }

  return () => {
    if (!running) return begin()
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return begin()
      })
    return next
  }
}
