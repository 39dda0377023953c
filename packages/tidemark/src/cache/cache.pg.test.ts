import { describe, expect, it } from 'vitest'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { startTestRedis } from '../testing/redis/redis-server.js'
import { until } from '../time/until.js'
import type { LoadClient } from './cache.js'
import { cached } from './cached.js'
import type { OpenCache } from './open-cache.js'
import { Gate } from './testing/gate.js'
import type { NodeOptions } from './testing/use-nodes.js'
import { useStage } from './testing/use-stage.js'

const program = await findRedisServer()

const definitions = (gate: Gate, loads: { count: number }, linearizable = false) => ({
  item: cached('item:{id}', {
    ttl: '5m',
    from: { items: 'id' },
    linearizable,
    load: async ({ id }, db: LoadClient) => {
      loads.count++
      const { rows } = await db.query<{ n: number }>('select n from items where id = $1', [id])
      await gate.pass()
      return rows[0]?.n ?? null
    },
  }),
  byOwner: cached('items:of:{owner}', {
    ttl: '5m',
    from: { items: 'owner' },
    load: async ({ owner }, db: LoadClient) =>
      (await db.query<{ id: string }>('select id from items where owner = $1 order by id', [owner])).rows.map(({ id }) =>
        Number(id),
      ),
  }),
  total: cached('items:total', {
    ttl: '5m',
    from: { items: true },
    load: async (_none, db: LoadClient) => Number((await db.query<{ n: string }>('select sum(n) as n from items')).rows[0]!.n),
  }),
})

type Node = OpenCache<ReturnType<typeof definitions>> & { readonly gate: Gate; readonly loads: { count: number } }

describe.skipIf(program === undefined)('a cache', () => {
  const { client, cleanups, open } = useStage({ items: 'id bigint primary key, owner text, n integer not null' })

  interface Given extends NodeOptions {
    readonly linearizable?: boolean
  }

  /** So long that a slow machine is no reason to go past the cache. */
  const patient = { maxSilenceMs: 4_000 }

  const nodes = async (count: number, { linearizable = false, ...options }: Given = {}): Promise<readonly Node[]> => {
    const opened: Node[] = []
    for (let i = 0; i < count; i++) {
      const [gate, loads] = [new Gate(), { count: 0 }]
      opened.push({ ...(await open(definitions(gate, loads, linearizable), options)), gate, loads })
    }
    return opened
  }

  const set = (id: number, n: number, owner = 'o') =>
    client.query('insert into items values ($1, $2, $3) on conflict (id) do update set n = excluded.n, owner = excluded.owner', [
      id,
      owner,
      n,
    ])

  it('R42, R45: answers from memory, then from Redis, then from Postgres', async () => {
    const [a, b] = await nodes(2, patient)
    await set(1, 10)
    const { position } = await a!.write((tx) => tx.query('update items set n = 11 where id = 1'))
    expect(await a!.entries.item.lookup({ id: 1 }, { after: position })).toMatchObject({ value: 11, source: 'load' })
    expect(await a!.entries.item.lookup({ id: 1 })).toMatchObject({ value: 11, source: 'memory' })
    await until(async () => (await b!.entries.item.lookup({ id: 1 })).source !== 'load')
    expect(b!.entries.item.peek({ id: 1 })).toBe(11)
    expect(await b!.entries.item.get({ id: 2 })).toBe(null)
  })

  it('CACHE-4: hears of writers that do not know of it', async () => {
    const [a, b] = await nodes(2)
    await set(1, 1)
    for (let n = 2; n < 20; n++) {
      for (const { entries } of [a!, b!]) await entries.item.get({ id: 1 })
      await set(1, n)
      for (const { entries } of [a!, b!]) await until(async () => (await entries.item.get({ id: 1 })) === n)
    }
  })

  it('takes the keys of both rows, and whole entries', async () => {
    const [a] = await nodes(1)
    await set(1, 1, 'x')
    await set(2, 2, 'y')
    await until(async () => (await a!.entries.byOwner.get({ owner: 'y' })).length === 1)
    expect(await a!.entries.byOwner.get({ owner: 'x' })).toEqual([1])
    expect(await a!.entries.total.get({})).toBe(3)
    const { position } = await a!.write((tx) => tx.query("update items set owner = 'y', n = 5 where id = 1"))
    expect(await a!.entries.byOwner.get({ owner: 'x' }, { after: position })).toEqual([])
    expect(await a!.entries.byOwner.get({ owner: 'y' }, { after: position })).toEqual([1, 2])
    expect(await a!.entries.total.get({}, { after: position })).toBe(7)
  })

  it('CACHE-1 CACHE-2 CACHE-3: keeps nothing that was read before a write, on any node', async () => {
    const [a, b, c] = await nodes(3)
    await set(1, 1)
    await until(async () => (await a!.entries.item.get({ id: 1 })) === 1)
    await a!.entries.item.evict({ id: 1 })
    await until(() => [a!, b!, c!].every(({ entries }) => entries.item.peek({ id: 1 }) === undefined))
    a!.gate.close()
    const old = a!.entries.item.get({ id: 1 })
    await until(() => a!.gate.waiting === 1)
    const { position } = await b!.write((tx) => tx.query('update items set n = 2 where id = 1'))
    const after = [b!, c!].map(({ entries }) => entries.item.get({ id: 1 }, { after: position }))
    expect(await Promise.all(after)).toEqual([2, 2])
    const third = a!.entries.item.get({ id: 1 }, { after: position })
    await until(() => a!.gate.waiting === 2 || a!.entries.item.peek({ id: 1 }) === 2)
    a!.gate.open()
    expect([await old, await third]).toEqual([1, 2])
    for (const { entries } of [a!, b!, c!]) expect(await entries.item.get({ id: 1 })).toBe(2)
  })

  it('CACHE-3, C14: asks Postgres once for many who ask at once, on all nodes', async () => {
    const all = await nodes(4, patient)
    const loads = () => all.reduce((sum, node) => sum + node.loads.count, 0)
    let id = 70
    // A machine that is busy elsewhere may go past the cache, or past a wait for another node's load, but not each time.
    await until(async () => {
      id++
      await set(id, 70)
      const { position } = await all[0]!.write((tx) => tx.query('update items set n = 71 where id = $1', [id]))
      for (const each of all) await each.entries.item.get({ id: 999 }, { after: position })
      const before = loads()
      const answers = await Promise.all(all.flatMap(({ entries }) => Array.from({ length: 250 }, () => entries.item.get({ id }))))
      expect(new Set(answers)).toEqual(new Set([71]))
      return loads() - before === 1
    })
  })

  it('getMany asks Redis once and loads what it lacks', async () => {
    const [a, b] = await nodes(2, patient)
    for (let id = 1; id <= 5; id++) await set(id, id * 10)
    const { position } = await a!.write((tx) => tx.query('update items set n = n'))
    const ids = [1, 2, 3, 3, 9].map((id) => ({ id }))
    expect(await a!.entries.item.getMany(ids, { after: position })).toEqual([10, 20, 30, 30, null])
    await until(async () => (await b!.entries.item.lookup({ id: 9 }, { after: position })).source !== 'load')
    expect(await b!.entries.item.getMany([...ids, { id: 5 }], { after: position })).toEqual([10, 20, 30, 30, null, 50])
    expect(b!.stats()['item']!.redis).toBeGreaterThanOrEqual(3)
  })

  it('CACHE-5, C36: a linearizable write is seen by every read that begins after it, on all nodes', async () => {
    const all = await nodes(3, { linearizable: true })
    await set(1, 0)
    await until(async () => {
      for (const { entries } of all) if ((await entries.item.lookup({ id: 1 })).source !== 'memory') return false
      return true
    })
    for (let n = 1; n <= 50; n++) {
      await all[n % 3]!.write((tx) => tx.query('update items set n = $1 where id = 1', [n]), { touches: ['public.items'] })
      expect(await Promise.all(all.map(({ entries }) => entries.item.get({ id: 1 })))).toEqual([n, n, n])
    }
  })

  it('FEED-3: does not answer once its feed is silent', async () => {
    const [a] = await nodes(1, { maxSilenceMs: 400 })
    await set(1, 1)
    await until(async () => (await a!.entries.item.lookup({ id: 1 })).source === 'memory')
    await a!.node.stop()
    await until(() => a!.freshness() > 400)
    await set(1, 2)
    expect(await a!.entries.item.lookup({ id: 1 })).toMatchObject({ value: 2, source: 'load' })
    expect(a!.entries.item.peek({ id: 1 })).toBeUndefined()
  })

  it('CACHE-6: goes on without Redis, and with it again', async () => {
    const own = await startTestRedis()
    cleanups.push(() => own.stop())
    const [a, b] = await nodes(2, { redis: own.url })
    await set(1, 1)
    await until(async () => (await b!.entries.item.get({ id: 1 })) === 1)
    own.signal('SIGSTOP')
    for (let n = 2; n < 6; n++) {
      const { position } = await a!.write((tx) => tx.query('update items set n = $1 where id = 1', [n]))
      expect(await a!.entries.item.get({ id: 1 }, { after: position })).toBe(n)
      expect(await b!.entries.item.get({ id: 1 }, { after: position })).toBe(n)
    }
    own.signal('SIGCONT')
    await until(() => [a!, b!].every(({ node }) => node.state().redisEpoch !== null), { timeoutMs: 15_000 })
    for (const { entries } of [a!, b!]) expect(await entries.item.get({ id: 1 })).toBe(5)
    const { position } = await a!.write((tx) => tx.query('update items set n = 6 where id = 1'))
    expect(await b!.entries.item.get({ id: 1 }, { after: position })).toBe(6)
  })

  it('evicts by tag, table and entry, and by key, on all nodes', async () => {
    const [a, b] = await nodes(2, { sampleEveryMs: 0 })
    await set(1, 1)
    await until(async () => (await b!.entries.item.lookup({ id: 1 })).source === 'memory')
    for (const what of [{ table: 'items' }, { entry: 'item' }, 'all'] as const) {
      const loads = b!.loads.count
      await a!.evict(what)
      await until(() => b!.entries.item.peek({ id: 1 }) === undefined)
      expect(await b!.entries.item.get({ id: 1 })).toBe(1)
      expect(b!.loads.count).toBe(loads + 1)
    }
    await a!.entries.item.evict({ id: 1 })
    await until(() => b!.entries.item.peek({ id: 1 }) === undefined)
  })

  it('R43: has what it was told of at the start, answers with the old while it loads anew, loads again what somebody looks at, and counts', async () => {
    const viewed = new Set(['1'])
    const value = async (id: unknown, db: LoadClient) =>
      (await db.query<{ n: number }>('select n from items where id = $1', [id])).rows[0]?.n ?? null
    await set(1, 1)
    await set(2, 2)
    const cache = await open({
      first: cached('first:{id}', {
        ttl: '5m',
        from: { items: 'id' },
        load: ({ id }, db: LoadClient) => value(id, db),
        warmOnStart: async (db) => (await db.query<{ id: string }>('select id from items where id < 2')).rows,
        warm: ({ id }) => viewed.has(String(id)),
      }),
      behind: cached('behind:{id}', {
        ttl: 1,
        staleWhileRevalidate: '1h',
        memoryOnly: true,
        from: { items: 'id' },
        load: ({ id }, db: LoadClient) => value(id, db),
      }),
    })
    await until(() => cache.entries.first.peek({ id: 1 }) === 1)
    expect([(await cache.entries.first.lookup({ id: 1 })).source, cache.entries.first.peek({ id: 2 })]).toEqual([
      'memory',
      undefined,
    ])
    expect(await cache.entries.first.get({ id: 2 })).toBe(2)
    await set(1, 10)
    await set(2, 20)
    // Two changes, told one after the other: only what somebody looks at is loaded anew.
    await until(() => cache.entries.first.peek({ id: 1 }) === 10 && cache.entries.first.peek({ id: 2 }) === undefined)
    await until(async () => (await cache.entries.behind.lookup({ id: 1 })).source === 'stale')
    expect((await cache.entries.behind.lookup({ id: 1 })).value).toBe(10)
    const { loads } = cache.stats()['behind']!
    await until(async () => {
      await cache.entries.behind.get({ id: 1 })
      return cache.stats()['behind']!.loads > loads
    })
  })

  it('works alone, from memory', async () => {
    const [a] = await nodes(1, { ...patient, redis: undefined })
    await set(1, 1)
    const { position } = await a!.write((tx) => tx.query('update items set n = 2 where id = 1'))
    expect(await a!.entries.item.get({ id: 1 }, { after: position })).toBe(2)
    expect(await a!.entries.item.lookup({ id: 1 })).toMatchObject({ source: 'memory' })
    await set(1, 3)
    await until(async () => (await a!.entries.item.get({ id: 1 })) === 3)
  })

  it('S8: works over the outbox, tokens and all', async () => {
    const [a, b] = await nodes(2, { source: 'outbox' })
    await set(1, 1)
    for (let n = 2; n < 8; n++) {
      const { position } = await a!.write((tx) => tx.query('update items set n = $1 where id = 1', [n]))
      expect(await b!.entries.item.get({ id: 1 }, { after: position })).toBe(n)
    }
  })
})
