// Values that are not there: each key is asked for once. And a key for which all ask at once.
import type { OpenCache } from '../../packages/tidemark/dist/cache/open-cache.js'
import { createRedis } from '../../packages/tidemark/dist/redis/create-redis.js'
import { until } from '../../packages/tidemark/dist/time/until.js'
import { ratios } from '../measuring/statistics.ts'
import { type Part, paceFigures, paceRatio } from './part.ts'
import { type Item, itemCount, itemEntry, itemSql } from './stage.ts'
import { paceOfEach, takeTurns, warmUps } from './turns.ts'

const callers = 64

export const misses: Part = async (stage, { rounds, keys, signal }) => {
  const count = Math.min(keys, Math.floor(itemCount / 2 / (rounds + warmUps)))
  const turn = (round: number) => ({ from: round * count, count, callers })
  /** Other rows: what changes there leaves no fence on the keys of the others. */
  const fencedTurn = (round: number) => ({ ...turn(round), from: itemCount / 2 + round * count })
  const entries = { item: itemEntry('miss', stage.loads), fenced: itemEntry('fenced', stage.loads) }
  const [node] = await stage.open(1, { name: 'misses', entries })
  const { pools, entries: opened } = node!
  const bento = await stage.bento({ withMemory: true })
  const redis = await createRedis({ url: stage.redisUrl })
  const query = async (id: number): Promise<Item | null> => (await pools.primary.query<Item>(itemSql, [id])).rows[0] ?? null
  /** As everybody does it: nothing keeps an old value from being stored. */
  const aside = async (id: number): Promise<Item | null> => {
    const held = await redis.command<string | null>(['GET', `aside:${id}`])
    if (held !== null) return JSON.parse(held) as Item
    const row = await query(id)
    await redis.command(['SET', `aside:${id}`, JSON.stringify(row), 'PX', 3_600_000])
    return row
  }
  const fences = async (round: number): Promise<void> => {
    await stage.postgres.client.query('update items set n = n + 1 where id >= $1 and id < $1 + $2', [
      fencedTurn(round).from,
      count,
    ])
    await settled(node!)
  }
  try {
    const found = await takeTurns(
      {
        raw: (round) => paceOfEach(turn(round), query),
        ours: (round) => paceOfEach(turn(round), (id) => opened.item.get({ id })),
        aside: (round) => paceOfEach(turn(round), aside),
        bento: (round) =>
          paceOfEach(turn(round), (id) => bento.getOrSet({ key: `miss:${id}`, ttl: '1h', factory: () => query(id) })),
        fenced: async (round) => {
          await fences(round)
          return paceOfEach(fencedTurn(round), (id) => opened.fenced.get({ id }))
        },
      },
      { rounds, signal },
    )
    const toRaw = paceRatio('cache-miss-64', found.ours, 'raw-pg', found.raw)
    const overhead = {
      name: 'cache-miss-time',
      baseline: 'unfenced-cache-aside',
      values: ratios(found.aside.perSecond, found.ours.perSecond),
    }
    return {
      figures: [
        ...paceFigures('miss, 64 callers, tidemark', found.ours),
        ...paceFigures('miss, 64 callers, tidemark, right after a change of the row', found.fenced),
        ...paceFigures('miss, 64 callers, GET, query and SET without a fence', found.aside),
        ...paceFigures('miss, 64 callers, bentocache', found.bento),
        ...paceFigures('query, 64 callers, the same pool', found.raw),
      ],
      measures: [
        toRaw,
        overhead,
        paceRatio('cache-miss-64', found.ours, 'bentocache', found.bento),
        paceRatio('cache-miss-after-change-64', found.fenced, 'raw-pg', found.raw),
      ],
      targets: [
        { measure: toRaw, what: '64 callers miss at least 0.6 times as often as they query', limit: 0.6, bound: 'least' },
        { measure: overhead, what: 'a miss takes at most 1.1 times as long as without lease and fence', limit: 1.1 },
      ],
    }
  } finally {
    await redis.stop()
    await node!.stop()
  }
}

/** Everything committed until now is applied. */
const settled = async (node: Pick<OpenCache<never>, 'freshness'>): Promise<void> => {
  const startedAt = performance.now()
  await until(() => node.freshness() < performance.now() - startedAt, { intervalMs: 5, what: 'The feed' })
}

const gets = 1000

export const stampede: Part = async (stage, { rounds, signal }) => {
  const nodes = await stage.open(4, { name: 'stampede', entries: { item: itemEntry('stampede', stage.loads) } })
  // Loads of reads: what compares the cache with Postgres loads as well, and is none.
  const loads = () => nodes.reduce((sum, node) => sum + node.stats().item!.loads, 0)
  const rush = async (id: number, among: number): Promise<number> => {
    const before = loads()
    await Promise.all(Array.from({ length: gets }, (_, i) => nodes[i % among]!.entries.item.get({ id })))
    return loads() - before
  }
  const found = { one: [0], four: [0] }
  for (let id = 0; id < 10 * rounds; id++) {
    signal.throwIfAborted()
    found.one.push(await rush(2 * id, 1))
    found.four.push(await rush(2 * id + 1, 4))
  }
  for (const node of [...nodes].reverse()) await node.stop()
  const one = { name: 'cache-stampede-queries-one-node', values: [Math.max(...found.one)] }
  const four = { name: 'cache-stampede-queries-four-nodes', values: [Math.max(...found.four)] }
  return {
    figures: [],
    measures: [one, four],
    targets: [
      { measure: one, what: `${gets} gets of a cold key on one node make 1 query`, limit: 1 },
      { measure: four, what: `${gets} gets of a cold key on four nodes make 1 query`, limit: 1 },
    ],
  }
}
