import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createRedis } from '../../redis/create-redis.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import type { Redis } from '../../redis/redis.js'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { useClient, useDatabase } from '../../testing/use-database.js'
import { useRedis } from '../../testing/use-redis.js'
import { until } from '../../time/until.js'
import { acceptedEvent, type GivenEvent, giveQueued, insertRows } from '../testing/give-events.js'
import { openTestWorkers, type TestWorkersOptions } from '../testing/use-workers.js'
import { type EventHandler, partitionKeys } from '../webhooks.js'

const program = await findRedisServer()

const effect: EventHandler = async ({ id, data }, { db }) => {
  await db.query('insert into effects (event, entity, n) values ($1, $2, $3)', [id, data['entity'], data['n']])
}

const some = (count: number, entities: number): readonly GivenEvent[] =>
  Array.from({ length: count }, (_each, n) => ({ entity: `e${n % entities}`, n: Math.floor(n / entities) }))

describe.skipIf(program === undefined)('what workers begin first', () => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const client = useClient(database)
  const server = useRedis()
  const cleanups = useCleanups()
  let redis: Redis

  beforeAll(async () => {
    await client.query(`create table effects (place bigint generated always as identity primary key, event uuid, entity text, n int);
      grant all on effects to tidemark_app`)
  })

  beforeEach(async () => {
    redis = await createRedis({ url: server.url })
    cleanups.push(() => redis.stop())
    await redis.command(['FLUSHALL'])
    await client.query('truncate effects, webhook_events, tidemark.webhook_partitions, tidemark.webhook_workers')
  })

  const open = (options: Omit<TestWorkersOptions, 'url' | 'on'> = {}) =>
    openTestWorkers(cleanups, server.url, { url: database.url, on: { 'contact.created': effect }, ...options })
  const count = async (sql: string): Promise<number> => Number((await client.query(`select count(*) as n from ${sql}`)).rows[0].n)
  const processed = (n: number) =>
    until(async () => (await count(`webhook_events where status = 'processed'`)) === n, { timeoutMs: 30_000 })

  /** Entries of a partition that a worker holds. */
  const handedOut = async (partition: number): Promise<number> => {
    const groups = await redis.command(['XPENDING', partitionKeys(partition, 2).stream, 'tidemark']).catch(() => [0])
    return Number((groups as readonly unknown[])[0])
  }

  test('a partition with much to do leaves room for the others', async () => {
    const busy = [0, 1].flatMap((partition) =>
      some(250, 50).map((event) => acceptedEvent({ ...event, entity: `${event.entity} of ${partition}`, partition })),
    )
    await insertRows(client, busy, false)
    await client.query('update webhook_events set next_attempt_at = now(), turn = seq')
    await giveQueued(
      client,
      redis,
      [0, 1].map((partition) => ({ entity: 'quiet', n: partition, partition })),
      2,
    )
    await client.query('begin; lock table effects in exclusive mode')
    await open({ partitions: 2, settings: { concurrency: 1 } })
    // Both partitions have been read before the first effect.
    await until(async () => (await handedOut(0)) + (await handedOut(1)) === 2)
    await client.query('commit')
    await processed(502)
    const { rows } = await client.query(
      `select (select count(*) from effects other where other.place < effects.place)::int as before from effects where entity = 'quiet'`,
    )
    for (const { before } of rows) expect(before).toBeLessThan(250)
  })

  describe('F12: of what a worker held when it ended', () => {
    /** The second of three events was running, and workers have ended with it before. */
    const heldByDead = async (ended: number): Promise<readonly string[]> => {
      const events = await giveQueued(client, redis, some(3, 3))
      await redis.command(['XGROUP', 'CREATE', 'webhooks:events', 'tidemark', '0'])
      await redis.command(['XREADGROUP', 'GROUP', 'tidemark', 'gone', 'COUNT', 3, 'STREAMS', 'webhooks:events', '>'])
      await redis.command(['SADD', '{webhooks:events}:begun', events[1]!.id])
      await client.query(`insert into tidemark.webhook_partitions (partition, epoch, owner) values (0, 1, 'gone')`)
      await client.query('update webhook_events set claims = 3')
      await client.query(
        `insert into tidemark.webhook_workers (name, seen_at) select 'gone ' || n, now() - interval '1 minute' from generate_series(1, $1) as n`,
        [ended],
      )
      return events.map(({ id }) => id)
    }

    test('only what was running is to blame, and dead once that has happened too often', async () => {
      const [, suspect] = await heldByDead(3)
      await open()
      await processed(2)
      await until(async () => (await count(`webhook_events where dead_reason = 'crash_loop' and id = '${suspect}'`)) === 1)
      await until(async () => (await redis.command(['EXISTS', '{webhooks:events}:begun'])) === 0)
    })

    test('nothing is dead so soon where workers end all the time', async () => {
      await heldByDead(30)
      await open()
      await processed(3)
      expect(await count('webhook_events where claims > 0')).toBe(0)
    })
  })
})
