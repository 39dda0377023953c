import type { BreakerRules, Evidence } from './breaker-rules.js'
import type { BreakerState, Operation } from './circuit.js'

/** Why a call may not go through now. */
export interface BreakerRefusal {
  readonly state: BreakerState
  /** The service asked to be called less often; else it is taken for sick, or an operator holds it open. */
  readonly isThrottled: boolean
  readonly retryAfterMs: number
}

/** What is known about one service. Times are wall time in milliseconds since 1970, null where it never happened. */
export interface BreakerSnapshot {
  readonly service: string
  readonly state: BreakerState
  /** `shared`: it is the same for all; `own`: it is this process's view, others see it otherwise or cannot be asked. */
  readonly scope: 'shared' | 'own'
  readonly epoch: number
  /** Failures in the current window; while it is not closed, those that opened it. */
  readonly failureCount: number
  readonly lastFailureAt: number | null
  readonly lastSuccessAt: number | null
  readonly openedAt: number | null
  /** How long until a call, or a probe, may go through. */
  readonly retryAfterMs: number
  readonly reason: string
  /** Held by an operator, and until when; null for until it is taken back. */
  readonly forced: 'OPEN' | 'CLOSED' | null
  readonly forcedUntil: number | null
  /** What this process saw within the window. */
  readonly evidence: Evidence
}

/** One change of state, as this process sees it. */
export interface BreakerChange {
  readonly service: string
  readonly from: BreakerState
  readonly to: BreakerState
  readonly failureCount: number
  readonly reason: string
}

/** How calls ended, since the breaker was made. */
export type BreakerCounts = Readonly<Record<'good' | 'failed' | 'timeout' | 'slow' | 'throttled' | 'gone' | 'refused', number>>

/** Stands before one service and stops calling it while it is sick. See SPEC.md in the folder above. */
export interface Breaker {
  readonly service: string
  readonly rules: BreakerRules
  readonly counts: BreakerCounts
  /** Undefined where a call may go through. A look at memory: no waiting, and nothing is changed by it. */
  refusal(): BreakerRefusal | undefined
  /**
   * Makes the call, or rejects at once with TM_RESILIENCE_BREAKER_OPEN or TM_RESILIENCE_THROTTLED.
   * A call that ends by the caller's own abort counts neither as success nor as failure.
   */
  run<T>(call: (signal: AbortSignal) => Promise<T>, options?: { readonly signal?: AbortSignal }): Promise<T>
  read(): BreakerSnapshot
  /** Holds it open or closed, or lets go. For all processes, where they can be reached. */
  operate(operation: Operation): Promise<BreakerSnapshot>
}
