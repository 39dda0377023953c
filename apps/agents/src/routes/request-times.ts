/** How long answers took since somebody looked last. */
export interface RequestTimes {
  add(ms: number): void
  /** In milliseconds, what 95 of 100 did not exceed; null where there was none. Begins anew. */
  takeP95(): number | null
}

/** Remembers so many at most; those that come later are left out until somebody looks. */
export const createRequestTimes = (most = 10_000): RequestTimes => {
  let taken: number[] = []
  return {
    add: (ms) => {
      if (taken.length < most) taken.push(ms)
    },
    takeP95: () => {
      const sorted = taken.sort((one, other) => one - other)
      taken = []
      return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? null
    },
  }
}
