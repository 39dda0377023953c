/** The words of this room. */
export type { Breaker, BreakerChange, BreakerRefusal, BreakerSnapshot } from './breaker/breaker.js'
export type { BreakerRules, Evidence } from './breaker/breaker-rules.js'
export type { BreakerState, Circuit, Operation } from './breaker/circuit.js'
export type { BreakerRows, CircuitTransition, SharedCircuits } from './breaker/shared-circuits.js'
export type { Journal, JournalBacklog, JournalEntry } from './journal/journal.js'
export type {
  LimitAlgorithm,
  LimitDecision,
  Limiter,
  LimiterCounts,
  LimiterStore,
  LimitRequest,
  LimitRule,
  LimitTaken,
} from './limiter/limits.js'
