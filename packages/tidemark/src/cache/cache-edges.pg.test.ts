import { describe, expect, it } from 'vitest'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { until } from '../time/until.js'
import type { LoadClient } from './cache.js'
import { cached } from './cached.js'
import { useStage } from './testing/use-stage.js'

const program = await findRedisServer()

describe.skipIf(program === undefined)('a cache at the edges', () => {
  const { client, open } = useStage({ things: 'id bigint primary key, n integer not null' })

  it('hears of an eviction that stands in a very large transaction', async () => {
    let loads = 0
    const define = () => ({ other: cached('other:{id}', { ttl: '5m', load: async () => ++loads, memoryOnly: true }) })
    const nodes = [await open(define()), await open(define())]
    for (const { entries } of nodes) await until(async () => (await entries.other.lookup({ id: 1 })).source === 'memory')
    const before = loads
    await client.query('begin')
    await client.query('insert into tidemark.cache_evictions (kind, name) select $1, $2 || n from generate_series(1, 10001) n', [
      'tag',
      'none',
    ])
    await client.query("insert into tidemark.cache_evictions (kind, name) values ('entry', 'other')")
    await client.query('commit')
    for (const { entries } of nodes) await until(async () => (await entries.other.get({ id: 1 })) > before)
    expect(loads).toBeGreaterThanOrEqual(before + 2)
  })

  it('makes no keys of text that has more than one spelling', async () => {
    await client.query(
      "create collation if not exists any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    )
    await client.query('create table if not exists named (name text collate any_case primary key, n integer not null)')
    const load = async ({ name }: { readonly name: unknown }, db: LoadClient) =>
      (await db.query<{ n: number }>('select n from named where name = $1', [name])).rows[0]?.n ?? null
    const opening = open({ named: cached('named:{name}', { ttl: '5m', from: { named: 'name' }, load }) })
    await expect(opening).rejects.toMatchObject({
      code: 'TM_CACHE_RULE',
      message: expect.stringContaining('more than one spelling'),
    })
  })

  it('over the outbox does not go by a table that has taken the place of another', async () => {
    await client.query('create table places (id int primary key, n int not null); insert into places values (1, 1)')
    const load = async ({ id }: { readonly id: unknown }, db: LoadClient) =>
      (await db.query<{ n: number }>('select n from places where id = $1', [id])).rows[0]?.n ?? null
    const definitions = { place: cached('place:{id}', { ttl: '5m', from: { places: 'id' }, load }) }
    const { entries } = await open(definitions, { source: 'outbox', sampleEveryMs: 0 })
    await until(async () => (await entries.place.lookup({ id: 1 })).source === 'memory')
    await client.query(`begin; alter table places rename to places_before; create table places (like places_before including all);
      insert into places select * from places_before; commit`)
    await client.query('update places set n = 2')
    await until(async () => (await entries.place.get({ id: 1 })) === 2)
  })

  it('keeps in Redis what has no time to live', async () => {
    const define = () => ({
      thing: cached('thing:{id}', { ttl: Number.POSITIVE_INFINITY, maxBytes: 0, from: { things: 'id' }, load: async () => 1 }),
    })
    const cache = await open(define())
    await until(async () => (await cache.entries.thing.lookup({ id: 1 })).source === 'redis')
  })
})
