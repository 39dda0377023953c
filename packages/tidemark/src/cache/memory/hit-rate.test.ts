import { expect, test } from 'vitest'
import { zipfTrace } from '../../testing/zipf.js'
import { createMemoryTier, type MemoryTierOptions } from './memory-tier.js'

const keys = 20_000
const asked = zipfTrace(keys, 200_000, { skew: 0.99, seed: 7 })
const names = Array.from({ length: keys }, (_, key) => `key:${key}`)

/** Percent of the trace, in a tier that has room for a tenth of the keys; every `scanEvery`-th is a key that never comes again. */
const hitRate = (eviction: NonNullable<MemoryTierOptions['eviction']>, scanEvery = Number.POSITIVE_INFINITY): number => {
  const tier = createMemoryTier({ maxBytes: 1e9, maxEntries: keys / 10, eviction })
  const times = { loadedAtMs: 0, freshUntilMs: 1, keptUntilMs: 1, tags: [] }
  let [hits, looks] = [0, 0]
  const look = (key: string): void => {
    looks++
    if (tier.get(key) !== undefined) hits++
    else tier.set({ key, value: null, bytes: 0, ...times })
  }
  for (const [at, key] of asked.entries()) {
    look(names[key]!)
    if (at % scanEvery === 0) look(`scan:${at}`)
  }
  return (100 * hits) / looks
}

test('sieve hits at least 4 points more than lru, and 5 through a scan; lfu 3 and 4', () => {
  const [lru, lruScanned] = [hitRate('lru'), hitRate('lru', 3)]
  expect(lru).toBeGreaterThan(65)
  expect(hitRate('sieve')).toBeGreaterThan(lru + 4)
  expect(hitRate('sieve', 3)).toBeGreaterThan(lruScanned + 5)
  expect(hitRate('lfu')).toBeGreaterThan(lru + 3)
  expect(hitRate('lfu', 3)).toBeGreaterThan(lruScanned + 4)
})
