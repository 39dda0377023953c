import { type Clock, systemClock } from '../time/clock.js'
import { EvidenceWindow } from './breaker/evidence.js'
import { positive } from './checks.js'

export interface RetryBudgetOptions {
  /** Retries may be this part of the calls. Default 0.1. */
  readonly ratio?: number
  /** Default 10 s. */
  readonly windowMs?: number
  /** So many are allowed within the window in any case: with few calls a tenth of them is none. Default 3; 0 for none. */
  readonly reserve?: number
  readonly clock?: Clock
}

/** Bounds the retries of many calls together, so that they cannot multiply the load on a service that is already down. */
export interface RetryBudget {
  /** A call was made for the first time. */
  called(): void
  /** True where a retry may be made; it is counted then. */
  take(): boolean
  /** Retries that may still be made now. */
  readonly left: number
}

/** Makes a budget that calls of one service share. Raises TM_RESILIENCE_BAD_OPTION. */
export const createRetryBudget = ({
  ratio = 0.1,
  windowMs = 10_000,
  reserve = 3,
  clock = systemClock,
}: RetryBudgetOptions = {}): RetryBudget => {
  positive({ ratio, windowMs, 'reserve + 1': reserve + 1 })
  // Calls are its good ones, retries its bad ones.
  const window = new EvidenceWindow(windowMs)
  const left = (): number => {
    window.slide(clock.monotonicMs())
    const calls = window.calls - window.bad
    return Math.max(0, Math.floor(Math.max(reserve, calls * ratio)) - window.bad)
  }
  return {
    called: () => window.good(clock.monotonicMs()),
    take: () => {
      if (left() < 1) return false
      window.failed(clock.monotonicMs(), false)
      return true
    },
    get left() {
      return left()
    },
  }
}
