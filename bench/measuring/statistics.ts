/** Middle and extremes of what the rounds gave. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Raises where there is nothing to sum up. */
export const summarize = (values: readonly number[]): Summary => {
  if (values.length === 0) throw new Error('there are no values to sum up')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

/** One ratio for each round, so that a machine that is busy in one round is busy on both sides. */
export const ratios = (values: readonly number[], baselines: readonly number[]): readonly number[] => {
  if (values.length !== baselines.length) throw new Error('each value needs the baseline of its round')
  return values.map((value, index) => value / baselines[index]!)
}

/** The value that so large a part of all is not above; of values in order. */
export const percentile = (sorted: readonly number[], share: number): number => {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  if (value === undefined) throw new Error('there are no values to take a share of')
  return value
}
