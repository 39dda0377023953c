import { beforeEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../observability/observability.js'
import { createRedis } from '../../redis/create-redis.js'
import { findRedisServer } from '../../redis/embedded/find-server.js'
import type { Redis } from '../../redis/redis.js'
import { until } from '../../time/until.js'
import { createEventStore } from '../intake/event-store.js'
import { acceptedEvent, giveQueued } from '../testing/give-events.js'
import { useWorkerPlace } from '../testing/use-worker-place.js'
import { createTestPool, openTestWorkers } from '../testing/use-workers.js'
import type { Durability } from '../webhooks.js'

const program = await findRedisServer()

/** The same, but scripts wait until it is opened. */
const gated = (redis: Redis) => {
  let open = (): void => undefined
  let gate: Promise<void> | undefined
  const waiting: string[] = []
  const script: Redis['script'] = async (lua, ...rest) => {
    waiting.push(lua.name)
    await gate
    return redis.script(lua, ...rest)
  }
  return {
    redis: new Proxy(redis, {
      get: (target, name) => {
        const member = name === 'script' ? script : Reflect.get(target, name, target)
        return typeof member === 'function' ? member.bind(target) : member
      },
    }),
    shut: () => {
      gate = new Promise((resolve) => {
        open = resolve
      })
      waiting.length = 0
    },
    open: () => open(),
    isWaiting: () => waiting.length > 0,
  }
}

describe.skipIf(program === undefined)('a stream that is lost while something is on its way into it', () => {
  const place = useWorkerPlace()
  const { database, client, server, cleanups } = place

  let redis: Redis
  beforeEach(async () => {
    redis = place.redis
    // Its stream has been handled before.
    await client.query('insert into tidemark.webhook_partitions (partition, epoch) values (0, 1)')
  })

  const storeOf = async (durability: Durability, through: Redis) => {
    const pool = createTestPool(database.url, cleanups)
    const limits = { partitions: 1, dedupeTtlMs: 60_000, timeoutMs: 5_000 }
    const store = createEventStore({ pool, redis: through, durability, ...limits, log: silentLogger, signals: undefined })
    cleanups.push(() => store.stop())
    await store.start()
    return store
  }

  const isRead = () =>
    redis.command(['XPENDING', 'webhooks:events', 'tidemark']).then(
      () => true,
      () => false,
    )

  test.each<Durability>(['postgres', 'redis'])('F4: is overtaken by none of that, where %s holds it', async (durability) => {
    const gate = gated(redis)
    const store = await storeOf(durability, gate.redis)
    const before = await storeOf('postgres', redis)
    await store.keep([acceptedEvent({ entity: 'other', n: 0 })])
    for (const n of [1, 2, 3, 4, 5]) await before.keep([acceptedEvent({ entity: 'e', n })])
    gate.shut()
    const late = store.keep([acceptedEvent({ entity: 'e', n: 6 })])
    await until(gate.isWaiting)
    await redis.command(['FLUSHALL'])
    await openTestWorkers(cleanups, server.url, {
      url: database.url,
      on: {
        'contact.created': async ({ data }, { db }) => void (await db.query('insert into effects (n) values ($1)', [data['n']])),
      },
    })
    await until(isRead)
    gate.open()
    expect(await late).toEqual(['postgres'])
    const effects = async () => (await client.query<{ n: number }>('select n from effects where n > 0 order by place')).rows
    await until(async () => (await effects()).length === 6)
    expect((await effects()).map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('what is read while a partition is taken anew is handled', async () => {
    const { workers } = await openTestWorkers(cleanups, server.url, {
      connect: () => createRedis({ url: server.url, name: 'waits' }),
      redis: await createRedis({ url: server.url, retryMaxMs: 100 }),
      url: database.url,
      on: {
        'contact.created': async ({ data }, { db }) => void (await db.query('insert into effects (n) values ($1)', [data['n']])),
      },
    })
    await client.query('truncate effects')
    const epoch = async () => Number((await client.query('select epoch from tidemark.webhook_partitions')).rows[0]?.epoch ?? 0)
    for (let times = 0; times < 3; times++) {
      await until(isRead)
      const before = await epoch()
      // The connection that waits for entries stays.
      const lines = String(await redis.command(['CLIENT', 'LIST'])).split('\n')
      const own = String(await redis.command(['CLIENT', 'ID']))
      const others = lines.filter((line) => !line.includes('name=waits ') && !line.startsWith(`id=${own} `))
      for (const id of others.flatMap((line) => /^id=(\d+) /.exec(line)?.[1] ?? []))
        await redis.command(['CLIENT', 'KILL', 'ID', id])
      await until(async () => (await epoch()) > before)
      await workers.idle()
      await giveQueued(client, redis, [{ entity: 'e', n: times }])
      await until(async () => (await client.query('select from effects')).rowCount === times + 1)
    }
  })
})
