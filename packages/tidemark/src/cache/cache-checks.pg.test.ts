import Fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { formatPosition, parsePosition } from '../feed/position.js'
import { createMetrics } from '../observability/metrics.js'
import { createSignals } from '../observability/signals.js'
import { createRedis } from '../redis/create-redis.js'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { until } from '../time/until.js'
import type { LoadClient } from './cache.js'
import { cached } from './cached.js'
import { takeStamp } from './load/stamp.js'
import type { OpenCache } from './open-cache.js'
import { createRedisTier } from './redis/create-redis-tier.js'
import { positionPlugin } from './session/position-plugin.js'
import type { NodeOptions } from './testing/use-nodes.js'
import { useStage } from './testing/use-stage.js'
import { createCacheMetrics } from './upkeep/cache-metrics.js'
import { readReports } from './upkeep/node-reports.js'

const program = await findRedisServer()

const definitions = () => ({
  thing: cached('thing:{id}', {
    ttl: '5m',
    from: { things: 'id' },
    load: async ({ id }, db: LoadClient) => {
      const { rows } = await db.query<{ n: number; at: Date; big: string }>('select n, at, big from things where id = $1', [id])
      return rows[0] ? { n: rows[0].n, at: rows[0].at, big: BigInt(rows[0].big) } : null
    },
  }),
  // Leaves the table out that it reads.
  hidden: cached('hidden:{id}', {
    ttl: '5m',
    load: async ({ id }, db: LoadClient) => (await db.query<{ n: number }>('select n from things where id = $1', [id])).rows,
  }),
})

type Definitions = ReturnType<typeof definitions>

/** A body that comes piece by piece, as over a slow line: the last piece comes by another callback of the socket. */
const inPieces = (text: string): ReadableStream => {
  const pieces = [...text]
  return new ReadableStream({
    pull: async (controller) => {
      const piece = pieces.shift()
      if (piece === undefined) controller.close()
      else controller.enqueue(new TextEncoder().encode(piece))
      await new Promise((resolve) => setImmediate(resolve))
    },
  })
}

describe.skipIf(program === undefined)('a cache that is looked after', () => {
  const stage = useStage({ things: 'id bigint primary key, n integer not null, at timestamptz not null, big bigint not null' })
  const { client, redis, cleanups, name } = stage
  const open = (options: NodeOptions = {}) => stage.open(definitions(), { sampleEveryMs: 10, ...options })

  const set = (id: number, n: number) =>
    client.query(
      'insert into things values ($1, $2, now(), 9007199254740993) on conflict (id) do update set n = excluded.n, at = now()',
      [id, n],
    )

  /** In memory, and nothing of before is on its way. */
  const isKept = async (cache: OpenCache<Definitions>, id: number): Promise<void> => {
    const { position } = await cache.write((tx) => tx.query('select'))
    await until(async () => (await cache.entries.thing.lookup({ id }, { after: position })).source === 'memory')
  }

  describe('CACHE-7: the sampler', () => {
    it('finds nothing wrong with dates, big integers and rows that change all the time', async () => {
      const signals = createSignals()
      const cache = await open({ signals })
      for (let id = 1; id <= 5; id++) await set(id, 0)
      for (let round = 1; round <= 40; round++) {
        for (let id = 1; id <= 5; id++) await cache.entries.thing.get({ id })
        await set(1 + (round % 5), round)
      }
      const stats = cache.stats()['thing']!
      await until(
        async () => {
          for (let id = 1; id <= 5; id++) await cache.entries.thing.get({ id })
          return stats.sampled > 30
        },
        { timeoutMs: 20_000 },
      )
      expect([stats.staleFound, signals.recent()]).toEqual([0, []])
    })

    it('finds a wrong value in memory, tells its key and not its value, and evicts it', async () => {
      const signals = createSignals()
      const cache = await open({ signals })
      await set(1, 1)
      await isKept(cache, 1)
      const key = cache.entries.thing.key({ id: 1 })
      const { memory } = cache.entries.thing as unknown as { memory: import('./memory/memory.js').MemoryTier }
      const slot = memory.get(key)!
      memory.set({ ...slot, value: Object.freeze({ ...(slot.value as object), big: 4711n }) })
      await until(() => cache.stats()['thing']!.staleFound > 0, { timeoutMs: 20_000 })
      await until(async () => (await cache.entries.thing.get({ id: 1 }))?.big === 9007199254740993n)
      expect(signals.recent()).toMatchObject([{ name: 'cache.stale', severity: 'critical', subject: 'thing' }])
      expect(signals.recent()[0]!.message).toContain(key)
      expect(JSON.stringify(signals.recent())).not.toContain('4711')
    })

    it('finds a wrong value in Redis, that no node has in memory', async () => {
      const writer = await open({ sampleEveryMs: 0 })
      await set(1, 1)
      await isKept(writer, 1)
      const key = writer.entries.thing.key({ id: 1 })
      const shared = await createRedis({ url: redis.url })
      cleanups.push(() => shared.stop())
      await until(async () => (await shared.command(['DEL', key])) === 1)
      const [tier, epoch] = [createRedisTier({ redis: shared }), writer.node.state().redisEpoch!]
      const lease = await tier.lease(key, epoch)
      const wrong = {
        value: { n: 2 },
        plain: true,
        freshForMs: 60_000,
        keptForMs: 60_000,
        asOf: writer.position()!.number,
        tags: [],
      }
      expect(lease.state === 'granted' && (await tier.fill(key, epoch, lease.token, wrong, await takeStamp(client)))).toBe(
        'stored',
      )
      const sampling = await open()
      await until(() => sampling.stats()['thing']!.staleFound > 0, { timeoutMs: 20_000 })
      await until(async () => (await sampling.entries.thing.get({ id: 1 }))?.n === 1)
    })

    it('finds a table that `from` leaves out', async () => {
      const cache = await open()
      await set(1, 1)
      expect(await cache.entries.hidden.get({ id: 1 })).toEqual([{ n: 1 }])
      await until(async () => (await cache.entries.hidden.lookup({ id: 1 })).source === 'memory')
      await set(1, 2)
      await until(() => cache.stats()['hidden']!.staleFound > 0, { timeoutMs: 20_000 })
      await until(async () => (await cache.entries.hidden.get({ id: 1 }))[0]?.n === 2)
    })
  })

  describe('a session', () => {
    it('CACHE-5: sees what it wrote, and what its client wrote elsewhere, without a position at each read', async () => {
      const [a, b] = [await open({ sampleEveryMs: 0 }), await open({ sampleEveryMs: 0 })]
      await set(1, 0)
      for (let n = 1; n < 30; n++) {
        for (const each of [a, b]) await each.entries.thing.get({ id: 1 })
        const position = await a.session(undefined, async (session) => {
          expect(session.hasWritten).toBe(false)
          await a.write((tx) => tx.query('update things set n = $1 where id = 1', [n]))
          expect((await a.entries.thing.get({ id: 1 }))?.n).toBe(n)
          expect((await a.entries.thing.getMany([{ id: 1 }]))[0]?.n).toBe(n)
          return session.position
        })
        const peeked = await b.session(position, async () => {
          expect((await b.entries.thing.get({ id: 1 }))?.n).toBe(n)
          return b.entries.thing.peek({ id: 1 })?.n
        })
        expect([n, undefined]).toContain(peeked)
      }
    })

    it('is answered by Postgres for a position of another history', async () => {
      const cache = await open({ sampleEveryMs: 0 })
      await set(1, 1)
      await isKept(cache, 1)
      const foreign = parsePosition('unknown:1')
      await cache.session(foreign, async () => {
        expect(await cache.entries.thing.lookup({ id: 1 })).toMatchObject({ source: 'load' })
        expect(cache.entries.thing.peek({ id: 1 })).toBeUndefined()
      })
      expect(await cache.entries.thing.lookup({ id: 1 })).toMatchObject({ source: 'memory' })
    })

    it('CACHE-5: goes over HTTP, as Tidemark-Position', async () => {
      const [a, b] = [await open({ sampleEveryMs: 0 }), await open({ sampleEveryMs: 0 })]
      await set(1, 0)
      const serve = async (cache: OpenCache<Definitions>) => {
        const app = Fastify()
        await app.register(positionPlugin(cache))
        app.get('/thing', async () => ({ n: (await cache.entries.thing.get({ id: 1 }))?.n }))
        app.post<{ Body: { n: number } }>('/thing', async ({ body }) => {
          await cache.write((tx) => tx.query('update things set n = $1 where id = 1', [body.n]))
          return { n: (await cache.entries.thing.get({ id: 1 }))?.n }
        })
        cleanups.push(() => app.close())
        return app.listen({ port: 0, host: '127.0.0.1' })
      }
      const [writing, reading] = [await serve(a), await serve(b)]
      for (let n = 1; n < 20; n++) {
        await b.entries.thing.get({ id: 1 })
        const written = await fetch(`${writing}/thing`, {
          method: 'POST',
          body: inPieces(JSON.stringify({ n })),
          headers: { 'content-type': 'application/json' },
          duplex: 'half',
        } as RequestInit)
        expect(await written.json()).toEqual({ n })
        const position = written.headers.get('tidemark-position')!
        const read = await fetch(`${reading}/thing`, { headers: { 'tidemark-position': position } })
        expect(await read.json()).toEqual({ n })
        expect(read.headers.get('tidemark-position')).toBe(null)
      }
      const bad = await fetch(`${reading}/thing`, { headers: { 'tidemark-position': 'yesterday' } })
      expect([bad.status, ((await bad.json()) as { code: string }).code]).toEqual([400, 'TM_FEED_POSITION'])
      const other = await fetch(`${reading}/thing`, {
        headers: { 'tidemark-position': formatPosition(parsePosition('other:1')) },
      })
      expect(await other.json()).toEqual({ n: 19 })
    })
  })

  it('leaves its report in Redis, under the prefix, and takes it along when it goes', async () => {
    const [a, b] = [await open({ sampleEveryMs: 0 }), await open({ sampleEveryMs: 0 })]
    await a.entries.thing.get({ id: 1 })
    const shared = await createRedis({ url: redis.url })
    cleanups.push(() => shared.stop())
    const reports = await until(async () => {
      const found = await readReports(shared, `${name()}:`)
      return found.length === 2 ? found : undefined
    })
    expect(new Set(reports.map(({ node }) => node))).toEqual(new Set([a.report().node, b.report().node]))
    expect(a.report().entries['thing']).toMatchObject({ template: 'thing:{id}', loads: 1, keys: 1 })
    await b.stop()
    expect((await readReports(shared, `${name()}:`)).map(({ node }) => node)).toEqual([a.report().node])
    expect(await readReports(shared, '')).toEqual([])
  })

  it('R42, R137: shows what it does as metrics', async () => {
    const cache = await open({ sampleEveryMs: 0 })
    const metrics = createMetrics()
    const shown = createCacheMetrics(metrics, cache)
    expect(await metrics.render()).toContain('tidemark_cache_stale_total{entry="thing"} 0')
    await set(1, 1)
    await isKept(cache, 1)
    for (let i = 0; i < 200; i++) await cache.entries.thing.get({ id: 1 })
    shown.refresh()
    shown.refresh()
    const text = await metrics.render()
    expect(text).toContain(`tidemark_cache_hits_total{entry="thing",source="memory"} ${cache.stats()['thing']!.memory}`)
    expect(text).toMatch(/tidemark_cache_age_seconds_count\{entry="thing"\} [1-9]/)
    expect(text).toMatch(/tidemark_cache_memory_bytes\{entry="thing"\} [1-9]\d+/)
    expect(text).toMatch(/tidemark_cache_freshness_seconds 0\.\d+/)
  })
})
