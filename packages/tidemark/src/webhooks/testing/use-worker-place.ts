/** Where workers are tried: a Postgres, a Redis that is empty before each test, and the effects of what was handled, in their order. */
import { beforeAll, beforeEach } from 'vitest'
import { createRedis } from '../../redis/create-redis.js'
import type { Redis } from '../../redis/redis.js'
import { bootstrappedTemplate } from '../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useRedis } from '../../testing/redis/use-redis.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import type { EventHandler } from '../webhooks.js'
import type { GivenEvent } from './give-events.js'
import { openTestWorkers, type TestWorkersOptions } from './use-workers.js'

/** Writes what it handles, in the order in which it does. */
export const effect: EventHandler = async ({ id, data }, { db }) => {
  await db.query('insert into effects (event, entity, n) values ($1, $2, $3)', [id, data['entity'], data['n']])
}

/** Events of so many entities, in turn. */
export const some = (count: number, entities: number, more: Partial<GivenEvent> = {}): readonly GivenEvent[] =>
  Array.from({ length: count }, (_each, n) => ({ entity: `e${n % entities}`, n: Math.floor(n / entities), ...more }))

export const useWorkerPlace = () => {
  const database = useDatabase({ template: bootstrappedTemplate })
  const client = useClient(database)
  const server = useRedis()
  const cleanups = useCleanups()
  const place = { redis: undefined as unknown as Redis }

  beforeAll(async () => {
    await client.query(`create table effects (place bigint generated always as identity primary key, event uuid, entity text, n int);
      grant all on effects to tidemark_app`)
  })

  beforeEach(async () => {
    place.redis = await createRedis({ url: server.url })
    cleanups.push(() => place.redis.stop())
    await place.redis.command(['FLUSHALL'])
    await client.query('truncate effects, webhook_events, tidemark.webhook_partitions, tidemark.webhook_workers')
  })

  const count = async (sql: string): Promise<number> => Number((await client.query(`select count(*) as n from ${sql}`)).rows[0].n)
  return Object.assign(place, {
    database,
    client,
    server,
    cleanups,
    open: (options: Omit<TestWorkersOptions, 'url'>) => openTestWorkers(cleanups, server.url, { url: database.url, ...options }),
    /** Without Redis. */
    openRows: (options: Omit<TestWorkersOptions, 'url'>) =>
      openTestWorkers(cleanups, undefined, { url: database.url, ...options }),
    count,
    /** Resolves when so many are. */
    processed: (n: number) =>
      until(async () => (await count(`webhook_events where status = 'processed'`)) === n, { timeoutMs: 30_000 }),
  })
}
