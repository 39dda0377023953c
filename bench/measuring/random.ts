/** Numbers that are the same on every machine for the same seed. */
export interface Random {
  /** At least 0 and below `limit`. */
  integer(limit: number): number
  pick<T>(from: readonly T[]): T
  bytes(length: number): Buffer
}

/** The generator known as mulberry32: small, fast, and even enough for rows that only have to look alike. */
export const createRandom = (seed: number): Random => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const integer = (limit: number): number => Math.floor((next() / 2 ** 32) * limit)
  return {
    integer,
    pick: (from) => from[integer(from.length)]!,
    bytes: (length) => {
      const buffer = Buffer.allocUnsafe(Math.ceil(length / 4) * 4)
      for (let at = 0; at < buffer.length; at += 4) buffer.writeUInt32LE(next(), at)
      return buffer.subarray(0, length)
    },
  }
}
