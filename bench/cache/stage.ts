// What the parts of the cache benchmark share: servers, rows, and who reads them.
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { Redis as Ioredis } from 'ioredis'
import type { EntryOptions, KeyPart, LoadClient } from '../../packages/tidemark/dist/cache/cache.js'
import { cached } from '../../packages/tidemark/dist/cache/cached.js'
import type { Definitions } from '../../packages/tidemark/dist/cache/create-cache.js'
import { type OpenCache, type OpenCacheOptions, openCache } from '../../packages/tidemark/dist/cache/open-cache.js'
import { startTestRedis } from '../../packages/tidemark/dist/testing/redis/redis-server.js'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { type BenchPostgres, openBenchPostgres } from '../measuring/bench-postgres.ts'

/** About 200 bytes of JSON. */
export interface Item {
  readonly id: string
  readonly owner: string
  readonly title: string
  readonly body: string
  readonly n: number
  readonly done: boolean
}

export const itemSql = 'select id, owner, title, body, n, done from items where id = $1'

/** Rows that there are, from 0 on. */
export const itemCount = 50_000

export interface CacheStage {
  readonly postgres: BenchPostgres
  readonly redisUrl: string
  /** Loads from Postgres of {@link itemEntry} since it was set to 0. */
  readonly loads: { count: number }
  /** Nodes that answer from memory and Redis. */
  open<D extends Definitions>(nodes: number, options: NodeOptions<D>): Promise<readonly OpenCache<D>[]>
  /** As drivers send it that gather what is asked for within one turn of the event loop. */
  rawRedis(): Promise<Ioredis>
  /** Beside memory with its default, serialized values. `withMemory: false`: Redis alone. */
  bento(options: { readonly withMemory: boolean }): Promise<BentoCache<{ items: ReturnType<typeof bentostore> }>>
  stop(): Promise<void>
}

export interface NodeOptions<D extends Definitions> extends Omit<OpenCacheOptions<D>, 'database' | 'redis'> {
  /** Default: that of the stage. */
  readonly redis?: string
}

/** One row by its key. */
export const itemEntry = (
  name: string,
  loads: { count: number },
  options: Partial<EntryOptions<{ readonly id: KeyPart }, Item | null>> = {},
) =>
  cached(`${name}:{id}`, {
    ttl: '1h',
    from: { items: 'id' },
    load: async ({ id }: { readonly id: KeyPart }, db: LoadClient) => {
      loads.count++
      return (await db.query<Item>(itemSql, [id])).rows[0] ?? null
    },
    ...options,
  })

const prepare = async ({ client }: BenchPostgres): Promise<void> => {
  await client.query(`
    CREATE TABLE items (id bigint PRIMARY KEY, owner text NOT NULL, title text NOT NULL, body text NOT NULL, n integer NOT NULL, done boolean NOT NULL);
    INSERT INTO items SELECT id, 'owner ' || id % 1000, 'item number ' || id, repeat('lorem ipsum ', 9), id % 10000, id % 2 = 0
      FROM generate_series(0, ${itemCount - 1}) AS id;
    ANALYZE items`)
}

/** Starts the servers and writes the rows. Raises where neither redis-server nor valkey-server is on PATH. */
export const openCacheStage = async (): Promise<CacheStage> => {
  const stops: (() => Promise<unknown>)[] = []
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each()
  }
  try {
    const redis = await startTestRedis()
    stops.push(() => redis.stop())
    const postgres = await openBenchPostgres()
    stops.push(() => postgres.stop())
    await prepare(postgres)
    const loads = { count: 0 }
    const rawRedis = async (): Promise<Ioredis> => {
      const client = new Ioredis(redis.url, { lazyConnect: true, enableAutoPipelining: true })
      client.on('error', () => undefined)
      await client.connect()
      stops.push(async () => client.disconnect())
      return client
    }
    return {
      postgres,
      redisUrl: redis.url,
      loads,
      rawRedis,
      open: async (count, options) => {
        const nodes: OpenCache<(typeof options)['entries']>[] = []
        for (let i = 0; i < count; i++) {
          const node = await openCache({ redis: redis.url, ...options, database: postgres.url })
          stops.push(() => node.stop())
          nodes.push(node)
        }
        const isReady = () => nodes.every((node) => node.freshness() < 500 && node.node.state().redisEpoch !== null)
        await until(isReady, { timeoutMs: 30_000, what: 'The start of the cache' })
        return nodes
      },
      bento: async ({ withMemory }) => {
        const [connection, bus] = [await rawRedis(), await rawRedis()]
        const store = withMemory
          ? bentostore()
              .useL1Layer(memoryDriver({ maxItems: itemCount * 2 }))
              .useL2Layer(redisDriver({ connection, prefix: 'bento-1' }))
              .useBus(redisBusDriver({ connection: bus }))
          : bentostore().useL2Layer(redisDriver({ connection, prefix: 'bento-2' }))
        const bento = new BentoCache({ default: 'items', stores: { items: store } })
        stops.push(() => bento.disconnectAll().catch(() => undefined))
        return bento
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What a part of the benchmark needs beside the stage. */
export interface PartOptions {
  readonly rounds: number
  /** Of one turn. */
  readonly ms: number
  /** Keys of one turn where each is asked for once. */
  readonly keys: number
  readonly samples: number
  readonly operations: number
  readonly signal: AbortSignal
}
