import type { Pool } from '../../../postgres/postgres.js'
import type { SentEvent } from '../../replay/send-replays.js'
import type { OwnedPartition } from '../partitions/owned-partition.js'
import { dueLanes } from '../runs/event-rows.js'
import type { Queue } from './queue.js'

/** Wakes the lanes whose first row is due by what Postgres says: after whatever Redis forgot, and for events that are sent anew. */
export const wakeDue = async (pool: Pool, owned: ReadonlyMap<number, OwnedPartition>): Promise<void> => {
  if (owned.size === 0) return
  for (const { partition, lane } of await dueLanes(pool, [...owned.keys()])) owned.get(partition)?.lanes.park(lane, true)
}

/** Wakes lanes of which rows have just become due. What another process handles is found there within a second. */
export const wakeSent = (owned: ReadonlyMap<number, OwnedPartition>, sent: readonly SentEvent[]): void => {
  for (const { partition, lane } of sent) owned.get(partition)?.lanes.park(lane, true)
}

/** Wakes those that the sorted sets of Redis name: that costs Postgres nothing while none is due. */
export const wakeRetries = async (pool: Pool, queue: Queue, owned: ReadonlyMap<number, OwnedPartition>): Promise<void> => {
  const ids = owned.size === 0 ? [] : await queue.due([...owned.keys()])
  if (ids.length === 0) return
  const { rows } = await pool.query<{ partition: number; lane: string }>(
    'select distinct partition, lane from public.webhook_events where id = any ($1::uuid[]) and next_attempt_at is not null',
    [ids],
  )
  for (const { partition, lane } of rows) owned.get(partition)?.lanes.park(lane, true)
}
