// What memory holds: how often it has what is asked for, and how much of the process it takes.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { KeyPart } from '../../packages/tidemark/dist/cache/cache.js'
import { cached } from '../../packages/tidemark/dist/cache/cached.js'
import { createMemoryTier } from '../../packages/tidemark/dist/cache/memory/memory-tier.js'
import { freezeDeep } from '../../packages/tidemark/dist/cache/value/value.js'
import { mulberry32, zipfTrace } from '../../packages/tidemark/dist/testing/zipf.js'
import type { Part } from './part.ts'
import { type Item, itemEntry } from './stage.ts'
import { turnOfLoop } from './turns.ts'

const mebibyte = 1024 * 1024

const madeItem = (id: number): Item => ({
  id: String(id),
  owner: `owner ${id % 1000}`,
  title: `item number ${id}`,
  body: 'lorem ipsum '.repeat(9),
  n: id % 10_000,
  done: id % 2 === 0,
})

/** What memory counts for so many of them. */
const bytesOf = (count: number): number => {
  const tier = createMemoryTier({ maxBytes: 2 ** 40 })
  const times = { loadedAtMs: 0, freshUntilMs: 0, keptUntilMs: 0, tags: [] }
  for (let id = 0; id < count; id++) {
    const value = madeItem(id)
    tier.set({ key: `sieve:${id}`, value, bytes: freezeDeep(value).heapBytes, ...times })
  }
  return tier.bytes
}

/** Zipf's law, memory for a tenth of the keys, by the whole way of a read. */
export const hitRate: Part = async (stage, { keys }) => {
  const distinct = Math.min(20_000, keys * 4)
  const trace = zipfTrace(distinct, distinct * 15, { skew: 0.99, seed: 7 })
  const options = {
    memoryOnly: true,
    maxBytes: bytesOf(distinct / 10),
    maxValueBytes: 10_000,
    load: async ({ id }: { readonly id: KeyPart }) => madeItem(Number(id)),
  }
  const entries = {
    sieve: itemEntry('sieve', stage.loads, options),
    lru: itemEntry('lru', stage.loads, { ...options, eviction: 'lru' }),
  }
  const [node] = await stage.open(1, { name: 'zipf', entries })
  for (const [i, id] of trace.entries()) {
    // Hits alone would keep the feed from being heard.
    if (i % 500 === 0) await turnOfLoop()
    await node!.entries.sieve.get({ id })
    await node!.entries.lru.get({ id })
  }
  const { sieve, lru } = node!.stats()
  await node!.stop()
  const [ours, theirs] = [100 * sieve!.hitRate!, 100 * lru!.hitRate!]
  const gain = { name: 'cache-zipf-points-over-lru', values: [ours - theirs] }
  return {
    figures: [
      { name: 'Zipf 0.99, memory for a tenth of the keys', values: [ours], unit: 'hits of 100' },
      { name: 'the same with lru', values: [theirs], unit: 'hits of 100' },
    ],
    measures: [gain],
    targets: [{ measure: gain, what: 'hits of 100 at least 4 more than with lru', limit: 4, bound: 'least' }],
  }
}

/** Text of its own, from 20 to about 1,200 characters; JSON.parse makes strings that share nothing. */
const madeText = (id: number): string =>
  `{"id":${id},"name":"name ${id}","tags":["a${id}","b"],"text":"${'x'.repeat(20 + ((id * 7919) % 1200))}"}`

/** How much the process grows for a full memory, while values come and go. */
export const memoryBytes: Part = async (stage, { operations, signal }) => {
  const maxBytes = (operations >= 1_000_000 ? 64 : 4) * mebibyte
  const distinct = Math.floor(maxBytes / 500)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const entry = cached('bytes:{id}', {
    ttl: '1h',
    memoryOnly: true,
    maxBytes,
    load: async ({ id }: { readonly id: KeyPart }) => JSON.parse(madeText(Number(id))) as unknown,
  })
  const [node] = await stage.open(1, { name: 'bytes', entries: { entry } })
  const random = mulberry32(11)
  const heap = (): number => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  /** Small numbers come far more often: nine of ten reads are hits. */
  const pick = (): number => Math.floor(random() ** 8 * distinct)
  await node!.entries.entry.get({ id: 0 })
  const before = heap()
  const deviations: number[] = []
  const looks = 10
  for (let look = 0; look < looks; look++) {
    signal.throwIfAborted()
    for (let i = 0; i < operations / looks; i++) {
      if (i % 1000 === 0) await turnOfLoop()
      await node!.entries.entry.get({ id: pick() })
    }
    // The first fills it.
    if (look > 0) deviations.push(100 * Math.abs((heap() - before) / maxBytes - 1))
  }
  const { hitRate: rate } = node!.stats()['entry']!
  await node!.stop()
  const worst = { name: 'cache-l1-bytes-percent-off', values: [Math.max(...deviations)] }
  return {
    figures: [
      { name: 'bytes in memory, off the limit', values: deviations, unit: 'percent' },
      { name: 'hits meanwhile', values: [100 * rate!], unit: 'of 100' },
    ],
    measures: [worst],
    targets: [{ measure: worst, what: `bytes in memory within 10 percent of the limit`, limit: 10 }],
  }
}
