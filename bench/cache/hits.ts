// Values that are there already: in memory, and in Redis.
import { type Part, paceFigures, paceRatio } from './part.ts'
import { type Item, itemEntry } from './stage.ts'
import { paceAtOnce, paceAwaited, paceOfCallers, paceOfEach, takeTurns } from './turns.ts'

const hotKeys = 1000
const many = 64
/** For each millisecond of a turn. */
const callsToWarmUp = 200

/** Hits in memory: each awaited before the next. */
export const memoryHits: Part = async (stage, { rounds, ms, keys, signal }) => {
  const hot = Math.min(hotKeys, keys)
  const [node] = await stage.open(1, { name: 'hits', entries: { item: itemEntry('hit', stage.loads) } })
  const { item } = node!.entries
  const bento = await stage.bento({ withMemory: true })
  const rows = new Map<string, Item>()
  const bare = async (id: number): Promise<Item | undefined> => rows.get(`bare:${id}`)
  const ofBento = (id: number) =>
    bento.getOrSet({ key: `item:${id}`, ttl: '1h', factory: async () => rows.get(`bare:${id}`) as Item })
  for (let id = 0; id < hot; id++) {
    rows.set(`bare:${id}`, (await item.get({ id }))!)
    await ofBento(id)
  }
  const loads = () => node!.stats().item!.loads
  const before = loads()
  const found = await takeTurns(
    {
      get: () => paceAwaited(ms, (n) => item.get({ id: n % hot })),
      peek: () => paceAtOnce(ms, (n) => item.peek({ id: n % hot })),
      bare: () => paceAwaited(ms, (n) => bare(n % hot)),
      bento: () => paceAwaited(ms, (n) => ofBento(n % hot)),
    },
    { rounds, signal },
  )
  // What compares the cache with Postgres loads as well, and is no read.
  if (loads() > before) throw new Error(`${loads() - before} hits were none`)
  await node!.stop()
  const toBento = paceRatio('cache-l1-hit', found.get, 'bentocache', found.bento)
  const millions = { name: 'cache-l1-hit-millions-a-second', values: found.get.perSecond.map((n) => n / 1e6) }
  return {
    figures: [
      ...paceFigures('L1 hit, get', found.get),
      ...paceFigures('L1 hit, peek', found.peek),
      ...paceFigures('L1 hit, a bare Map behind an async function', found.bare),
      ...paceFigures('L1 hit, bentocache', found.bento),
    ],
    measures: [
      toBento,
      paceRatio('cache-l1-hit', found.get, 'bare-map', found.bare),
      millions,
      { name: 'cache-l1-peek-millions-a-second', values: found.peek.perSecond.map((n) => n / 1e6) },
    ],
    targets: [
      { measure: toBento, what: 'a hit in memory at least 10 times as often as bentocache', limit: 10, bound: 'least' },
      { measure: millions, what: 'at least 1 million hits in memory a second', limit: 1, bound: 'least' },
    ],
  }
}

/** Hits in Redis: memory is switched off. */
export const redisHits: Part = async (stage, { rounds, ms, keys, signal }) => {
  const hot = Math.min(hotKeys, keys)
  const entries = { item: itemEntry('l2', stage.loads, { maxBytes: 0 }) }
  const [node] = await stage.open(1, { name: 'hits2', entries })
  const { item } = node!.entries
  const [bento, raw] = [await stage.bento({ withMemory: false }), await stage.rawRedis()]
  const factory = async (): Promise<Item> => {
    throw new Error('a hit was none')
  }
  for (let id = 0; id < hot; id++) {
    const row = (await item.get({ id }))!
    await raw.set(`raw:${id}`, JSON.stringify(row))
    await bento.set({ key: `item:${id}`, value: row, ttl: '1h' })
  }
  const loads = () => node!.stats().item!.loads
  const before = loads()
  const ours = (n: number) => item.get({ id: n % hot })
  const ofRaw = async (n: number): Promise<Item> => JSON.parse((await raw.get(`raw:${n % hot}`))!) as Item
  const ofBento = (n: number) => bento.getOrSet({ key: `item:${n % hot}`, ttl: '1h', factory })
  // By calls, not by time: what is compiled late on a busy machine would otherwise be measured half compiled.
  for (const call of [ours, ofRaw, ofBento]) await paceOfEach({ from: 0, count: ms * callsToWarmUp, callers: many }, call)
  const [at64, at1] = [
    await takeTurns(
      {
        ours: () => paceOfCallers(ms, many, ours),
        raw: () => paceOfCallers(ms, many, ofRaw),
        bento: () => paceOfCallers(ms, many, ofBento),
      },
      { rounds, signal },
    ),
    await takeTurns(
      {
        ours: () => paceOfCallers(ms, 1, ours),
        raw: () => paceOfCallers(ms, 1, ofRaw),
        bento: () => paceOfCallers(ms, 1, ofBento),
      },
      { rounds, signal },
    ),
  ]
  // What compares the cache with Postgres loads as well, and is no read.
  if (loads() > before) throw new Error(`${loads() - before} hits were none`)
  await node!.stop()
  const toRaw = paceRatio('cache-l2-hit-64', at64.ours, 'raw-ioredis', at64.raw)
  const toBento = paceRatio('cache-l2-hit-64', at64.ours, 'bentocache', at64.bento)
  return {
    figures: [
      ...paceFigures('L2 hit, 64 callers, tidemark', at64.ours),
      ...paceFigures('L2 hit, 64 callers, raw ioredis and JSON', at64.raw),
      ...paceFigures('L2 hit, 64 callers, bentocache', at64.bento),
      ...paceFigures('L2 hit, 1 caller, tidemark', at1.ours),
      ...paceFigures('L2 hit, 1 caller, raw ioredis and JSON', at1.raw),
      ...paceFigures('L2 hit, 1 caller, bentocache', at1.bento),
    ],
    measures: [
      toRaw,
      toBento,
      paceRatio('cache-l2-hit-1', at1.ours, 'raw-ioredis', at1.raw),
      paceRatio('cache-l2-hit-1', at1.ours, 'bentocache', at1.bento),
    ],
    targets: [
      {
        measure: toRaw,
        what: '64 callers hit in Redis at least 0.95 times as often as raw ioredis',
        limit: 0.95,
        bound: 'least',
      },
      { measure: toBento, what: 'and 2.3 times as often as bentocache', limit: 2.3, bound: 'least' },
    ],
  }
}
