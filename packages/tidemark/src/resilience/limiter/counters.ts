import type { WholeRule } from './limits.js'
import { WindowLog } from './window-log.js'

/** What a counter says of some calls at some moment. Nothing is counted yet. */
export interface Look {
  readonly allowed: boolean
  readonly remaining: number
  readonly retryAfterMs: number
  readonly resetMs: number
}

/** The calls of one key under one rule. Moments come in order. */
export interface Counter {
  look(nowMs: number, cost: number): Look
  add(nowMs: number, cost: number): void
  /** Takes back what was added last at about that moment. */
  remove(atMs: number, cost: number): void
}

const logCounter = ({ limit, windowMs }: WholeRule): Counter => {
  const log = new WindowLog(limit)
  return {
    look: (nowMs, cost) => {
      log.forget(nowMs - windowMs)
      const mustLeave = log.count + cost - limit
      const retryAfterMs = mustLeave <= 0 ? 0 : log.at(mustLeave - 1) + windowMs - nowMs
      const resetMs = log.count === 0 ? 0 : log.at(log.count - 1) + windowMs - nowMs
      return { allowed: mustLeave <= 0, remaining: limit - log.count, retryAfterMs, resetMs }
    },
    add: (nowMs, cost) => log.add(nowMs, cost),
    remove: (atMs, cost) => log.remove(atMs, cost),
  }
}

/** Buckets of a ring. One more than these is looked at, so that a call counts for the whole window at least. */
export const ringBuckets = 20

const ringCounter = ({ limit, windowMs }: WholeRule): Counter => {
  const bucketMs = windowMs / ringBuckets
  const kept = ringBuckets + 1
  const counts = new Float64Array(kept)
  let newest = 0
  let sum = 0
  const leavesAt = (bucket: number): number => (bucket + kept) * bucketMs
  const slide = (nowMs: number): void => {
    const bucket = Math.max(newest, Math.floor(nowMs / bucketMs))
    for (let n = Math.max(newest + 1, bucket - ringBuckets); n <= bucket; n++) {
      sum -= counts[n % kept]!
      counts[n % kept] = 0
    }
    newest = bucket
  }
  const retryAfter = (nowMs: number, mustLeave: number): number => {
    let left = 0
    for (let bucket = newest - ringBuckets; bucket <= newest; bucket++) {
      left += bucket < 0 ? 0 : counts[bucket % kept]!
      if (left >= mustLeave) return leavesAt(bucket) - nowMs
    }
    return windowMs
  }
  const lastUsed = (): number => {
    for (let bucket = newest; bucket > newest - kept; bucket--) if (bucket >= 0 && counts[bucket % kept]! > 0) return bucket
    return newest
  }
  return {
    look: (nowMs, cost) => {
      slide(nowMs)
      const mustLeave = sum + cost - limit
      return {
        allowed: mustLeave <= 0,
        remaining: limit - sum,
        retryAfterMs: mustLeave <= 0 ? 0 : retryAfter(nowMs, mustLeave),
        resetMs: sum === 0 ? 0 : leavesAt(lastUsed()) - nowMs,
      }
    },
    add: (nowMs, cost) => {
      slide(nowMs)
      counts[newest % kept]! += cost
      sum += cost
    },
    remove: (atMs, cost) => {
      const bucket = Math.floor(atMs / bucketMs)
      if (bucket <= newest - kept) return
      const taken = Math.min(counts[bucket % kept]!, cost)
      counts[bucket % kept]! -= taken
      sum -= taken
    },
  }
}

/** Keeps one number: when, at even spacing, everything that was admitted would be over. */
const gcraCounter = ({ limit, windowMs, burst }: WholeRule): Counter => {
  const spacingMs = windowMs / limit
  let overAt = Number.NEGATIVE_INFINITY
  const roomMs = burst * spacingMs
  return {
    look: (nowMs, cost) => {
      const begin = Math.max(overAt, nowMs)
      const waitMs = begin + cost * spacingMs - roomMs - nowMs
      // A sum of fractions may miss a whole burst by a rounding error.
      const allowed = waitMs <= 1e-6
      const usedMs = begin - nowMs
      return {
        allowed,
        remaining: Math.max(0, Math.floor((roomMs - usedMs) / spacingMs + 1e-6)),
        retryAfterMs: allowed ? 0 : waitMs,
        resetMs: usedMs,
      }
    },
    add: (nowMs, cost) => {
      overAt = Math.max(overAt, nowMs) + cost * spacingMs
    },
    remove: (_atMs, cost) => {
      overAt -= cost * spacingMs
    },
  }
}

const makers = { log: logCounter, ring: ringCounter, gcra: gcraCounter } as const

export const makeCounter = (rule: WholeRule): Counter => makers[rule.algorithm](rule)
