import type { Client, Pool } from '../../../postgres/postgres.js'
import type { Redis } from '../../../redis/redis.js'
import { partitionKeys } from '../../webhooks.js'
import { leaseScript, releaseScript, renewScript } from '../queues/stream-scripts.js'

/** The right to handle a partition, for a while. */
export interface Leases {
  /** True where this worker now has it, or had it already. */
  take(partition: number): Promise<boolean>
  /** Those of the partitions that this worker still has. */
  renew(partitions: readonly number[]): Promise<readonly number[]>
  release(partition: number): Promise<void>
}

export interface Taken {
  /** Grows each time the partition is taken. */
  readonly epoch: string
  /** Who had it last and did not give it back; undefined where it was given back, or is taken for the first time. */
  readonly lostBy: string | undefined
}

/** Leases in Redis. */
export const createRedisLeases = (redis: Redis, name: string, partitions: number, leaseMs: number): Leases => {
  const key = (partition: number): string => partitionKeys(partition, partitions).lease
  return {
    take: async (partition) => (await redis.script(leaseScript, [key(partition)], [name, leaseMs])) === 1,
    renew: async (owned) => {
      const renewed = await Promise.all(owned.map((partition) => redis.script(renewScript, [key(partition)], [name, leaseMs])))
      return owned.filter((_partition, at) => renewed[at] === 1)
    },
    release: async (partition) => {
      await redis.script(releaseScript, [key(partition)], [name])
    },
  }
}

/** Leases where there is no Redis: a partition is its owner's as long as that one is heard of. */
export const createRowLeases = (pool: Pool, name: string, leaseMs: number): Leases => ({
  take: async (partition) => {
    const { rowCount } = await pool.query(
      `select from tidemark.webhook_partitions
         join tidemark.webhook_workers on webhook_workers.name = owner and seen_at > now() - make_interval(secs => $3 / 1000.0)
        where partition = $1 and owner <> $2`,
      [partition, name, leaseMs],
    )
    return rowCount === 0
  },
  renew: async (owned) => {
    const { rows } = await pool.query<{ partition: number }>(
      'select partition from tidemark.webhook_partitions where partition = any ($1::smallint[]) and owner = $2',
      [owned, name],
    )
    return rows.map(({ partition }) => partition)
  },
  release: async () => undefined,
})

/** How long a new owner waits for transactions of the one before it, which hold the row. */
const lockTimeoutMs = 2_000

/**
 * Draws the next epoch of a partition: transactions under the one before commit no more. `isFree` looks once more under the lock.
 * Undefined where somebody else was quicker.
 */
export const beginEpoch = (
  pool: Pool,
  partition: number,
  name: string,
  unlessHeldMs: number | undefined,
): Promise<Taken | undefined> =>
  pool.transaction(
    async (db) => {
      await db.query('insert into tidemark.webhook_partitions (partition) values ($1) on conflict do nothing', [partition])
      const { rows } = await db.query<{ owner: string | null; held: boolean }>(
        `select owner, $3::int is not null and exists (
                  select from tidemark.webhook_workers
                   where webhook_workers.name = owner and owner <> $2 and seen_at > now() - make_interval(secs => $3 / 1000.0)) as held
           from tidemark.webhook_partitions where partition = $1 for update`,
        [partition, name, unlessHeldMs ?? null],
      )
      const before = rows[0]!
      if (before.held) return undefined
      const { rows: drawn } = await db.query<{ epoch: string }>(
        'update tidemark.webhook_partitions set epoch = epoch + 1, owner = $2 where partition = $1 returning epoch::text',
        [partition, name],
      )
      const lostBy = before.owner === null || before.owner === name ? undefined : before.owner
      return { epoch: drawn[0]!.epoch, lostBy }
    },
    { settings: { lock_timeout: String(lockTimeoutMs) } },
  )

/** Gives a partition back: whoever takes it next need not think that this worker died of it. */
export const endEpoch = async (pool: Pool, partition: number, epoch: string): Promise<void> => {
  await pool.query('update tidemark.webhook_partitions set owner = null where partition = $1 and epoch = $2', [partition, epoch])
}

/** Tells that this worker lives. Gives how many do. */
export const beat = async (pool: Pool, name: string, leaseMs: number): Promise<number> => {
  const { rows } = await pool.query<{ live: number }>(
    `with own as (insert into tidemark.webhook_workers (name) values ($1)
                  on conflict (name) do update set seen_at = now() returning name),
          gone as (delete from tidemark.webhook_workers where name <> $1 and seen_at < now() - interval '1 day')
     select 1 + (select count(*)::int from tidemark.webhook_workers
                  where name <> $1 and seen_at > now() - make_interval(secs => $2 / 1000.0)) as live from own`,
    [name, leaseMs],
  )
  return rows[0]!.live
}

/** How many workers have ended within the last ten minutes without having given back what they had. */
export const endedWorkers = async (db: Client, leaseMs: number): Promise<number> => {
  const { rows } = await db.query<{ ended: number }>(
    `select count(*)::int as ended from tidemark.webhook_workers
      where seen_at between now() - interval '10 minutes' and now() - make_interval(secs => $1 / 1000.0)`,
    [leaseMs],
  )
  return rows[0]!.ended
}

export const signOff = async (pool: Pool, name: string): Promise<void> => {
  await pool.query('delete from tidemark.webhook_workers where name = $1', [name])
}
