/** One bound on the memory of all entries together. */
import type { MemoryTier } from './memory.js'

/** So far below the bound, that not every value that comes makes all others look for room. */
const afterShrinking = 0.95

/** Looks at the sum after each value that was kept; above the bound every entry gives up its share of what it has. */
export const createMemoryBudget = (maxBytes: number, tiers: readonly MemoryTier[]): (() => void) => {
  const sum = (): number => {
    let bytes = 0
    for (const tier of tiers) bytes += tier.bytes
    return bytes
  }
  return () => {
    const bytes = sum()
    if (bytes <= maxBytes) return
    const share = (maxBytes * afterShrinking) / bytes
    for (const tier of tiers) {
      const own = tier.maxBytes
      tier.resize(Math.floor(tier.bytes * share))
      // What another entry gives up later, this one may take.
      tier.resize(own)
    }
  }
}
