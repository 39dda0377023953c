import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CacheEntry } from '../../cache/cache.js'
import { cached } from '../../cache/cached.js'
import { resolveConfig } from '../../config/config.js'
import { silentLogger } from '../../observability/observability.js'
import type { EmbeddedPostgres } from '../../postgres/embedded/embedded.js'
import { openState } from '../../state/state.js'
import { startBarePostgres } from '../../testing/project/prepared-project.js'
import { startTestRedis } from '../../testing/redis/redis-server.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { openDatabase } from '../database/database.js'
import { createServer, type TidemarkServer } from '../server.js'

let dir: string
let postgres: EmbeddedPostgres
const cleanups = useCleanups()

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tidemark-caches-'))
  postgres = await startBarePostgres(dir)
})
afterAll(async () => {
  await postgres.stop()
  await rm(dir, { recursive: true, force: true })
})

const open = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

const caches = {
  thing: cached('thing:{id}', {
    ttl: '5m',
    from: { things: 'id' },
    load: async ({ id }, db) => (await db.query<{ n: number }>('select n from things where id = $1', [id])).rows[0]?.n ?? null,
  }),
  ofOwner: cached('things:{owner}', {
    ttl: '5m',
    from: { things: 'owner', indexed: 'owner' },
    load: async ({ owner }, db) => (await db.query('select id from things where owner = $1 order by id', [owner])).rows,
  }),
}

const configOf = (url: string, env: Record<string, string> = {}) =>
  resolveConfig({
    cwd: dir,
    file: { caches, cache: { sampleEveryMs: 20 } },
    env: {
      DATABASE_URL: url,
      PORT: '0',
      TIDEMARK_STATE_DIR: `node-${randomBytes(4).toString('hex')}`,
      TIDEMARK_REDIS_EMBEDDED: 'false',
      ...env,
    },
  })

/** A database of its own, with tables. */
const makeDatabase = async () => {
  const name = `caches_${randomBytes(4).toString('hex')}`
  const admin = await open(postgres.url)
  await admin.query(`create database ${name}`)
  await admin.end()
  const url = new URL(postgres.url)
  url.pathname = `/${name}`
  const client = await open(url.href)
  cleanups.push(() => client.end())
  await client.query(`
    create table things (id int primary key, owner text not null, n int not null);
    create table indexed (id int primary key, owner text not null);
    create unique index indexed_identity on indexed (owner, id);
    alter table indexed replica identity using index indexed_identity`)
  // As if migrations had made them. The roles are those of the whole server, made by the first that starts.
  await openDatabase({ config: configOf(url.href), state: await openState(join(dir, name)), log: silentLogger, cwd: dir })
  await client.query('alter table things owner to tidemark_migrator; alter table indexed owner to tidemark_migrator')
  return { url: url.href, client }
}

const serve = async (url: string, env: Record<string, string> = {}): Promise<TidemarkServer> => {
  const server = createServer({ cwd: dir, log: silentLogger, config: configOf(url, env) })
  cleanups.push(() => server.stop())
  await server.start()
  return server
}

type Thing = CacheEntry<{ readonly id: number }, number | null>
const thing = (server: TidemarkServer): Thing => server.cache()!.entries['thing'] as unknown as Thing

describe('a server with caches', () => {
  test('makes old rows tell what keys are made of, and leaves an index that does so alone', async () => {
    const { url, client } = await makeDatabase()
    await serve(url)
    const { rows } = await client.query(
      "select relname, relreplident from pg_class where relname in ('things', 'indexed') order by 1",
    )
    expect(rows).toEqual([
      { relname: 'indexed', relreplident: 'i' },
      { relname: 'things', relreplident: 'f' },
    ])
  })

  test('answers from memory without Redis, and hears of every writer', async () => {
    const { url, client } = await makeDatabase()
    await client.query("insert into things values (1, 'a', 1)")
    const server = await serve(url)
    await until(async () => (await thing(server).lookup({ id: 1 })).source === 'memory')
    await client.query('update things set n = 2')
    await until(async () => (await thing(server).get({ id: 1 })) === 2)
    await until(() => server.cache()!.stats()['thing']!.sampled > 3)
    expect(server.cache()!.stats()['thing']!.staleFound).toBe(0)
  })

  test('without a part in the feed asks Postgres each time', async () => {
    const { url, client } = await makeDatabase()
    await client.query("insert into things values (1, 'a', 1)")
    const server = await serve(url, { TIDEMARK_ROLES: 'admin' })
    for (const n of [1, 2, 3]) {
      await client.query('update things set n = $1', [n])
      expect(await thing(server).lookup({ id: 1 })).toMatchObject({ value: n, source: 'load' })
    }
  })

  test('CACHE-4: two servers share values over Redis, go on when it is away, and a change reaches both', async () => {
    const { url, client } = await makeDatabase()
    const redis = await startTestRedis()
    cleanups.push(() => redis.stop())
    const [a, b] = [await serve(url, { REDIS_URL: redis.url }), await serve(url, { REDIS_URL: redis.url })]
    await client.query("insert into things values (1, 'a', 0)")
    await until(async () => (await thing(a).lookup({ id: 1 })).source === 'memory', { timeoutMs: 20_000 })
    await until(async () => ['redis', 'memory'].includes((await thing(b).lookup({ id: 1 })).source), { timeoutMs: 20_000 })
    const change = async (n: number) => {
      await client.query('update things set n = $1', [n])
      for (const server of [a, b]) await until(async () => (await thing(server).get({ id: 1 })) === n, { timeoutMs: 20_000 })
    }
    for (const n of [1, 2, 3]) await change(n)
    redis.signal('SIGSTOP')
    await change(4)
    redis.signal('SIGCONT')
    await change(5)
    for (const server of [a, b]) expect(server.cache()!.stats()['thing']!.staleFound).toBe(0)
  })
})
