export interface BackoffOptions {
  readonly baseMs: number
  readonly maxMs: number
}

/** `baseMs`, doubled with each failure after the first, `maxMs` at most. */
export const exponential = (failures: number, { baseMs, maxMs }: BackoffOptions): number =>
  Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 52))

/** A random part of {@link exponential}: many that failed together do not come back together. */
export const fullJitter = (failures: number, options: BackoffOptions & { readonly random: () => number }): number =>
  options.random() * exponential(failures, options)
