import { beforeEach, describe, expect, test } from 'vitest'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import type { Redis } from '../../redis/redis.js'
import { until } from '../../time/until.js'
import { acceptedEvent, giveQueued, insertRows } from '../testing/give-events.js'
import { effect, some, useWorkerPlace } from '../testing/use-worker-place.js'
import type { TestWorkersOptions } from '../testing/use-workers.js'
import { partitionKeys } from '../webhooks.js'

const program = await findRedisServer()

describe.skipIf(program === undefined)('what workers begin first', () => {
  const place = useWorkerPlace()
  const { client, count, processed } = place
  let redis: Redis
  beforeEach(() => {
    redis = place.redis
  })
  const open = (options: Omit<TestWorkersOptions, 'url' | 'on'> = {}) =>
    place.open({ on: { 'contact.created': effect }, ...options })

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
