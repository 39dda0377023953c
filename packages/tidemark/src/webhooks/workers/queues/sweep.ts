import type { Pool } from '../../../postgres/postgres.js'
import type { OwnedPartition } from '../partitions/owned-partition.js'
import { fence, park } from '../runs/event-rows.js'
import { type HeldEvent, type HeldRow, heldColumns, heldFromRow } from '../runs/held-event.js'
import type { Queue } from './queue.js'

export interface SweepOptions {
  readonly pool: Pool
  readonly queue: Queue
  readonly afterMs: number
}

/** Clocks of several machines are never quite the same. */
const skewMs = 5_000
const page = 500

type Row = HeldRow & { readonly stream_id: string | null; readonly queued: boolean }

const appendedAtMs = (streamId: string): number => Number(streamId.split('-')[0])

/**
 * Takes up rows of which there is no entry in the stream: whoever stored them died before it appended them, or Redis lost the last
 * second of what it had. They get a turn in their lanes. Gives how many.
 */
export const sweep = async ({ pool, queue, afterMs }: SweepOptions, owned: OwnedPartition): Promise<number> => {
  const oldestMs = await queue.oldest(owned.number)
  const statuses = queue.kind === 'rows' ? ['processing'] : ['accepted', 'processing']
  const { rows } = await pool.query<Row>(
    `select ${heldColumns}, stream_id, queued from public.webhook_events
      where partition = $1 and status = any ($2::text[]) and next_attempt_at is null and id <> all ($3::uuid[])
        and greatest(received_at, updated_at) < now() - make_interval(secs => $4 / 1000.0)
        and not exists (select from tidemark.webhook_partitions where webhook_partitions.partition = $1 and spooling)
      order by seq limit ${page}`,
    [owned.number, statuses, owned.heldIds, afterMs],
  )
  const isGone = ({ received_ms, stream_id }: Row): boolean =>
    oldestMs === undefined || (stream_id === null ? received_ms : appendedAtMs(stream_id)) < oldestMs - skewMs
  const gone: readonly HeldEvent[] = rows.filter(isGone).map((row) => heldFromRow(row))
  if (gone.length === 0) return 0
  await pool.transaction(async (db) => {
    if (await fence(db, owned.number, owned.epoch)) await park(db, gone, 'now')
  })
  for (const { lane } of gone) owned.lanes.park(lane, true)
  return gone.length
}
