// `npx jiti bench/memory-tier.ts`: how fast memory answers, how often, and whether it takes the bytes it says. See `cache/memory`.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createMemoryTier, type MemoryTier } from '../packages/tidemark/dist/cache/memory/memory-tier.js'
import { freezeDeep } from '../packages/tidemark/dist/cache/value/value.js'
import { mulberry32, zipfTrace } from '../packages/tidemark/dist/testing/zipf.js'
import { count, main, parseOptions } from '../scripts/options.ts'

const usage = `npx jiti bench/memory-tier.ts [options]
  --operations <n>   of the memory test, for each kind of eviction (default 10000000)
  --mebibytes <n>    bound of the memory test (default 64)
  --skip-memory      only speeds and hit rates`

type Eviction = 'sieve' | 'lru' | 'lfu'
const evictions: readonly Eviction[] = ['sieve', 'lru', 'lfu']
const mebibyte = 1024 * 1024
const times = { loadedAtMs: 0.5, freshUntilMs: 1.5, keptUntilMs: 2.5, tags: [] }

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const bytesInUse = (): number => {
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Millions of calls a second: the best of five rounds, since whatever else runs only slows. */
const fastest = async (calls: number, round: () => number | Promise<number>): Promise<number> => {
  let best = 0
  for (let turn = 0; turn < 5; turn++) {
    const from = performance.now()
    const hits = await round()
    if (hits !== calls) throw new Error(`${hits} hits of ${calls}`)
    best = Math.max(best, calls / (performance.now() - from) / 1000)
  }
  return best
}

const measureSpeed = async (eviction: Eviction): Promise<void> => {
  const names = Array.from({ length: 10_000 }, (_, key) => `chat:messages:${key}`)
  const tier = createMemoryTier({ maxBytes: 1e9, eviction })
  for (const key of names) tier.set({ key, value: Object.freeze({ key }), bytes: 200, ...times })
  const asked = zipfTrace(names.length, 2_000_000, { skew: 0.99, seed: 3 })
  const get = (at: number): unknown => tier.get(names[asked[at]!]!)
  const peek = await fastest(asked.length, () => {
    let hits = 0
    for (let at = 0; at < asked.length; at++) if (get(at) !== undefined) hits++
    return hits
  })
  // What a cache does around it at the least: an async function, a look at the times, an await by the caller.
  const answer = async (key: string): Promise<unknown> => {
    const slot = tier.get(key)
    return slot !== undefined && slot.freshUntilMs > 1 ? slot.value : undefined
  }
  const awaited = await fastest(asked.length, async () => {
    let hits = 0
    for (let at = 0; at < asked.length; at++) if ((await answer(names[asked[at]!]!)) !== undefined) hits++
    return hits
  })
  console.log(`${eviction}: get ${peek.toFixed(1)} M/s, through an async function ${awaited.toFixed(2)} M/s`)
}

const measureHitRate = (eviction: Eviction, skew: number, scanEvery: number): void => {
  const [keys, length] = [100_000, 1_000_000]
  const asked = zipfTrace(keys, length, { skew, seed: 7 })
  const tier = createMemoryTier({ maxBytes: 1e12, maxEntries: keys / 10, eviction })
  let [hits, looks] = [0, 0]
  const look = (key: string): void => {
    looks++
    if (tier.get(key) !== undefined) hits++
    else tier.set({ key, value: null, bytes: 0, ...times })
  }
  const from = performance.now()
  for (let at = 0; at < length; at++) {
    look(`key:${asked[at]}`)
    if (at % scanEvery === scanEvery - 1) look(`scan:${at}`)
  }
  const rate = ((100 * hits) / looks).toFixed(2)
  const speed = (looks / (performance.now() - from) / 1000).toFixed(2)
  console.log(
    `${eviction}: zipf ${skew}${scanEvery < length ? ', a third more scanned' : ''}: ${rate} % hits, ${speed} M operations/s`,
  )
}

/** Rows, lists of rows, texts and bytes, of sizes from a few dozen bytes to some ten thousand. */
const someValue = (random: () => number): unknown => {
  const text = (most: number): string => JSON.parse(`"${'x'.repeat(1 + Math.floor(random() * most))}"`) as string
  const row = (): string =>
    JSON.stringify({ id: random(), name: text(40), body: text(400), read: random() < 0.5, count: 7, at: null })
  const kind = random()
  if (kind < 0.1) return Math.floor(random() * 1000)
  if (kind < 0.5) return JSON.parse(row())
  if (kind < 0.75) return text(1500)
  if (kind < 0.95) return JSON.parse(`[${Array.from({ length: 1 + Math.floor(random() * 12) }, row).join(',')}]`)
  return Buffer.alloc(4096 + Math.floor(random() * 30_000))
}

const fillByTrace = (tier: MemoryTier, asked: Int32Array, random: () => number): void => {
  for (const at of asked) {
    const key = `chat:messages:${at}`
    if (tier.get(key) !== undefined && random() > 0.02) continue
    const value = someValue(random)
    const { heapBytes: bytes } = freezeDeep(value)
    tier.set({ key, value, bytes, ...times, tags: at % 5 === 0 ? [`user:${at % 1000}`] : [] })
  }
}

/** True where the process never took a tenth more than the bound. */
const measureMemory = (eviction: Eviction, operations: number, maxBytes: number, signal: AbortSignal): boolean => {
  const [parts, random] = [10, mulberry32(11)]
  const before = bytesInUse()
  const tier = createMemoryTier({ maxBytes, eviction })
  let [least, most] = [Number.POSITIVE_INFINITY, 0]
  for (let part = 0; part < parts; part++) {
    signal.throwIfAborted()
    fillByTrace(tier, zipfTrace(1_000_000, operations / parts, { skew: 0.9, seed: 100 + part }), random)
    const taken = (bytesInUse() - before) / maxBytes
    least = Math.min(least, taken)
    most = Math.max(most, taken)
  }
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
  const { size, evictions: gone, bytes } = tier
  console.log(
    `${eviction}: ${operations} operations, ${maxBytes / mebibyte} MiB: the process took ${percent(least)} to ${percent(most)} of it; ` +
      `accounted ${percent(bytes / maxBytes)}, ${size} slots, ${gone} evictions`,
  )
  return most <= 1.1
}

await main(async (signal) => {
  const given = parseOptions(usage, {
    operations: { type: 'string' },
    mebibytes: { type: 'string' },
    'skip-memory': { type: 'boolean' },
  })
  const operations = count('operations', given['operations'], { default: 10_000_000, min: 1000, max: 1_000_000_000 })
  const mebibytes = count('mebibytes', given['mebibytes'], { default: 64, min: 1, max: 4096 })
  for (const eviction of evictions) await measureSpeed(eviction)
  for (const [skew, scanEvery] of [[0.99, Number.POSITIVE_INFINITY], [0.99, 3], [0.7, Number.POSITIVE_INFINITY]] as const) // biome-ignore format: a table
    for (const eviction of evictions) measureHitRate(eviction, skew, scanEvery)
  if (given['skip-memory'] === true) return true
  return evictions.map((eviction) => measureMemory(eviction, operations, mebibytes * mebibyte, signal)).every(Boolean)
})
