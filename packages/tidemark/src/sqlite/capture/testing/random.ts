/** Choices by a seed, so that a run can be had again. */
export interface Random {
  /** From 0 to n − 1. */
  below(n: number): number
  /** True once in `n`. */
  oneIn(n: number): boolean
  pick<T>(items: readonly T[]): T
  /** Some of the items, at least one, in any order. */
  some<T>(items: readonly T[]): readonly T[]
}

export const createRandom = (seed: number): Random => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (n: number) => Math.floor(next() * n)
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!
  const some = <T>(items: readonly T[]): readonly T[] => {
    const shuffled = items.map((item) => [next(), item] as const).sort(([a], [b]) => a - b)
    return shuffled.slice(0, 1 + below(items.length)).map(([, item]) => item)
  }
  return { below, oneIn: (n) => below(n) === 0, pick, some }
}
