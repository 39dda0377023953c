import type { Pool } from '../../../postgres/postgres.js'
import type { Redis, RedisCommand } from '../../../redis/redis.js'
import { entryArguments, queuedParts } from '../../entry.js'
import { partitionKeys } from '../../webhooks.js'
import type { OwnedPartition } from '../partitions/owned-partition.js'
import { insertOpen } from '../runs/event-rows.js'
import { type HeldRow, heldColumns } from '../runs/held-event.js'
import type { Queue } from './queue.js'

export interface SpoolOptions {
  readonly pool: Pool
  readonly redis: Redis
  readonly queue: Queue
  readonly partitions: number
}

const page = 500
/** No more is put into a stream than this: what waits in Postgres waits there as well. */
const longestStream = 20_000
const lockTimeoutMs = 2_000
const waiting = `status = 'accepted' and not queued and next_attempt_at is null`

type Row = HeldRow & { readonly seq: string }

const commandOf = (stream: string, row: Row): RedisCommand => {
  const event = {
    id: row.id,
    provider: row.provider,
    tenant: row.tenant,
    type: row.event_type,
    lane: row.lane,
    receivedAtMs: row.received_ms,
    envelope: row.payload,
  }
  return ['XADD', stream, '*', ...entryArguments(queuedParts(event, row.seq))]
}

/** Those of the partitions whose events wait in Postgres for the stream. */
export const spoolingPartitions = async (pool: Pool, owned: readonly number[]): Promise<readonly number[]> => {
  if (owned.length === 0) return []
  const { rows } = await pool.query<{ partition: number }>(
    'select partition from tidemark.webhook_partitions where spooling and partition = any ($1::smallint[])',
    [owned],
    { name: 'hooks spooling', idempotent: true },
  )
  return rows.map(({ partition }) => partition)
}

/** The intake locks the row before it stores an event behind the others, so nothing can slip in between. */
const endSpool = (pool: Pool, { number, epoch }: OwnedPartition): Promise<boolean> =>
  pool.transaction(
    async (db) => {
      await db.query('select from tidemark.webhook_partitions where partition = $1 for update', [number])
      const { rowCount } = await db.query(
        `update tidemark.webhook_partitions set spooling = false
          where partition = $1 and epoch = $2
            and not exists (select from public.webhook_events where webhook_events.partition = $1 and ${waiting})`,
        [number, epoch],
      )
      return rowCount === 1
    },
    { settings: { lock_timeout: String(lockTimeoutMs) } },
  )

/**
 * Puts what waits in Postgres into the stream, in its order; when nothing does any more, the intake uses the stream again. True where it
 * is all there. What is interrupted is done again: an event that stands in the stream twice is handled once.
 */
export const drainSpool = async ({ pool, redis, partitions }: SpoolOptions, owned: OwnedPartition): Promise<boolean> => {
  const { stream } = partitionKeys(owned.number, partitions)
  while (!owned.isLost) {
    if ((await redis.command<number>(['XLEN', stream])) > longestStream) return false
    const { rows } = await pool.query<Row>(
      `select ${heldColumns}, seq from public.webhook_events where partition = $1 and ${waiting} order by seq limit ${page}`,
      [owned.number],
    )
    if (rows.length === 0) return endSpool(pool, owned)
    const results = await redis.pipeline(rows.map((row) => commandOf(stream, row)))
    // In order up to the first that was refused: what follows must not overtake it.
    const refusedAt = results.findIndex(({ ok }) => !ok)
    const added = refusedAt < 0 ? rows : rows.slice(0, refusedAt)
    const ids = results.slice(0, added.length).map((result) => (result.ok ? String(result.value) : ''))
    // Of a partition that was taken anew meanwhile the stream may have been lost.
    await pool.query(
      `with fence as materialized (
         select from tidemark.webhook_partitions where partition = $3 and epoch = $4 for share)
       update public.webhook_events event set queued = true, stream_id = place.stream_id
         from unnest($1::uuid[], $2::text[]) as place(id, stream_id) where event.id = place.id and exists (select from fence)`,
      [added.map(({ id }) => id), ids, owned.number, owned.epoch],
    )
    if (refusedAt >= 0) return false
  }
  return false
}

/**
 * The stream of a partition was lost with what was in it. From now on the intake waits in Postgres, and everything that is not done goes
 * through the stream anew, in the order of the rows. Whoever is interrupted in this leaves the partition missing, so that the next owner
 * does it again.
 */
export const respool = async ({ pool, queue }: SpoolOptions, { number }: OwnedPartition): Promise<void> => {
  await pool.transaction(
    (db) => db.query('update tidemark.webhook_partitions set spooling = true where partition = $1', [number]),
    { settings: { lock_timeout: String(lockTimeoutMs) } },
  )
  // What came into the new stream meanwhile stands behind what was lost.
  await queue.strip(number, (events) =>
    pool.transaction((db) =>
      insertOpen(
        db,
        events.filter(({ whole }) => whole),
      ),
    ),
  )
  await pool.query(
    `update public.webhook_events set queued = false, stream_id = null, status = 'accepted'
      where partition = $1 and status in ('accepted', 'processing') and next_attempt_at is null`,
    [number],
  )
}
