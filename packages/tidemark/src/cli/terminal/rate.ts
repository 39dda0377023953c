const windowMs = 5000

interface Sample {
  readonly at: number
  readonly done: number
}

/** How fast a count grows, over the last five seconds. */
export interface Rate {
  add(at: number, done: number): void
  /** Per second; 0 until two samples lie apart. */
  perSecond(): number
}

export const createRate = (): Rate => {
  let samples: Sample[] = []
  return {
    add: (at, done) => {
      samples.push({ at, done })
      const oldest = samples.findLastIndex((sample) => sample.at <= at - windowMs)
      if (oldest > 0) samples = samples.slice(oldest)
    },
    perSecond: () => {
      const first = samples[0]
      const last = samples.at(-1)
      if (!first || !last || last.at <= first.at) return 0
      return Math.max(0, ((last.done - first.done) * 1000) / (last.at - first.at))
    },
  }
}
