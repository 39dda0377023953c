/** Keys as they are asked for in life: the n-th most popular of them with a share of 1 / n^skew. The same trace for the same seed. */
export const zipfTrace = (
  keys: number,
  length: number,
  options: { readonly skew: number; readonly seed: number },
): Int32Array => {
  const upTo = new Float64Array(keys)
  let sum = 0
  for (let rank = 0; rank < keys; rank++) {
    sum += (rank + 1) ** -options.skew
    upTo[rank] = sum
  }
  const random = mulberry32(options.seed)
  return Int32Array.from({ length }, () => firstAbove(upTo, random() * sum))
}

/** From 0 to below 1. */
export const mulberry32 = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const firstAbove = (sorted: Float64Array, value: number): number => {
  let [low, high] = [0, sorted.length - 1]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! > value) high = middle
    else low = middle + 1
  }
  return low
}
