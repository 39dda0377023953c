import { describe, expect, it } from 'vitest'
import { createRedis } from '../redis/create-redis.js'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { until } from '../time/until.js'
import type { KeyPart, LoadClient } from './cache.js'
import { cached } from './cached.js'
import { openCache } from './open-cache.js'
import { useStage } from './testing/use-stage.js'

const program = await findRedisServer()

const load = async ({ id }: { readonly id: KeyPart }, db: LoadClient) =>
  (await db.query<{ n: number }>('select n from items where id = $1', [id])).rows[0]?.n ?? null

const before = { other: cached('other:{id}', { ttl: '5m', from: { items: 'id' }, load }) }
const after = { ...before, item: cached('item:{id}', { ttl: '5m', from: { items: 'id' }, load }) }

describe.skipIf(program === undefined)('caches of two versions of an app', () => {
  const { client, cleanups, open, database, redis, name } = useStage({ items: 'id bigint primary key, n integer not null' })
  const set = (n: number) => client.query('insert into items values (1, $1) on conflict (id) do update set n = excluded.n', [n])

  /** Read again and again: a node that is not proven fresh just then keeps nothing. */
  const untilKept = async (read: () => Promise<unknown>) => {
    const own = await createRedis({ url: redis.url })
    cleanups.push(() => own.stop())
    const isKept = () => read().then(async () => (await own.command(['EXISTS', `${name()}:item:1`])) === 1)
    await until(isKept, { what: 'The value in Redis' })
  }

  /** Beside a node whose rules are others, it has no Redis to wait for. */
  const openBeside = async () => {
    const node = await openCache({ entries: after, database: database.url, redis: redis.url, name: name(), prefix: `${name()}:` })
    cleanups.push(() => node.stop())
    await until(() => node.freshness() < 500, { what: 'A proof of freshness', timeoutMs: 20_000 })
    return node
  }

  it('CACHE-4: answer nothing from Redis that the reading node would not have taken out of it', async () => {
    await set(1)
    const first = await open(after)
    await untilKept(() => first.entries.item.get({ id: 1 }))
    await first.stop()

    const old = await open(before)
    await until(() => old.node.state().role === 'reading')
    await set(2)
    const young = await openBeside()
    await expect
      .poll(() => young.node.state())
      .toMatchObject({
        role: 'tailing',
        redisEpoch: null,
        problem: expect.stringContaining('keeps other values'),
      })
    expect(await young.entries.item.get({ id: 1 })).toBe(2)
    await set(3)
    await until(async () => (await young.entries.item.get({ id: 1 })) === 3, { what: 'The new value' })

    await old.stop()
    await until(() => young.node.state().redisEpoch !== null, { what: 'Redis', timeoutMs: 20_000 })
    const last = await open(after)
    expect(await last.entries.item.lookup({ id: 1 })).toMatchObject({ value: 3 })
    await untilKept(() => last.entries.item.get({ id: 1 }))
  })
})
