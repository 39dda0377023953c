/** A stream of numbers that depends on its seed alone, on every machine. */
export interface Random {
  /** A number from 0 up to, but not including, 1. */
  fraction(): number
  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number
  /** True in `share` of all cases. */
  chance(share: number): boolean
  pick<T>(items: readonly T[]): T
  /** As Python's `uuid4().hex` writes it: 32 hex digits, no dashes. */
  uuidHex(): string
}

/** Makes a {@link Random} by xoshiro128**, seeded through splitmix32. */
export const createRandom = (seed: number): Random => {
  let mixed = seed >>> 0
  const mix = (): number => {
    mixed = (mixed + 0x9e3779b9) >>> 0
    let z = mixed
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  let [a, b, c, d] = [mix(), mix(), mix(), mix()]
  const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by))
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotate(d, 11)
    return result
  }
  const fraction = (): number => next() / 0x1_0000_0000
  const integer = (low: number, high: number): number => low + Math.floor(fraction() * (high - low + 1))
  const word = (): string => next().toString(16).padStart(8, '0')
  return {
    fraction,
    integer,
    chance: (share) => fraction() < share,
    pick: (items) => items[integer(0, items.length - 1)] as (typeof items)[number],
    uuidHex: () => {
      const hex = word() + word() + word() + word()
      return `${hex.slice(0, 12)}4${hex.slice(13, 16)}${'89ab'[Number.parseInt(hex[16] ?? '0', 16) % 4]}${hex.slice(17)}`
    },
  }
}
