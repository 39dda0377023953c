import { describe, expect, it } from 'vitest'
import { findRedisServer } from '../redis/embedded/find-server.js'
import { until } from '../time/until.js'
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
})
