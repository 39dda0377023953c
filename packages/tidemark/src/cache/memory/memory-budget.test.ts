import { describe, expect, it } from 'vitest'
import { createMemoryBudget } from './memory-budget.js'
import { createMemoryTier } from './memory-tier.js'

const slot = (key: string) => ({
  key,
  value: key,
  bytes: 1000,
  loadedAtMs: 0,
  freshUntilMs: 1e9,
  keptUntilMs: 1e9,
  tags: [],
})

describe('R46, CACHE-7: a bound on all entries together', () => {
  it.each(['sieve', 'lru', 'lfu'] as const)('is kept at every value that comes, each giving up its share (%s)', (eviction) => {
    const [one, other] = [createMemoryTier({ maxBytes: 1e6, eviction }), createMemoryTier({ maxBytes: 1e6, eviction })]
    const onKept = createMemoryBudget(300_000, [one, other])
    let highest = 0
    for (let i = 0; i < 2000; i++) {
      for (const [tier, every] of [
        [one, 1],
        [other, 3],
      ] as const) {
        if (i % every !== 0) continue
        tier.set(slot(`k${i}`))
        onKept()
        highest = Math.max(highest, one.bytes + other.bytes)
      }
    }
    expect(highest).toBeLessThanOrEqual(300_000)
    expect(one.bytes + other.bytes).toBeGreaterThan(270_000)
    expect(one.size).toBeGreaterThan(other.size)
    expect(other.size).toBeGreaterThan(10)
    expect([one.maxBytes, other.maxBytes]).toEqual([1e6, 1e6])
  })

  it('lets one entry have all that the others do not need', () => {
    const [one, other] = [createMemoryTier({ maxBytes: 1e6 }), createMemoryTier({ maxBytes: 1e6 })]
    const onKept = createMemoryBudget(300_000, [one, other])
    for (let i = 0; i < 1000; i++) {
      one.set(slot(`k${i}`))
      onKept()
    }
    expect(one.bytes).toBeGreaterThan(270_000)
  })
})
