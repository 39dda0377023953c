export type BreakerState = 'CLOSED' | 'OPEN' | 'HALF_OPEN'

/** When a breaker opens and for how long. */
export interface BreakerRules {
  /** Failures within `windowMs` that open the breaker. Default 5. */
  readonly failureThreshold: number
  /** Default 60 s. */
  readonly windowMs: number
  /** How long the breaker stays open the first time. It doubles with every failed probe. Default 30 s. */
  readonly recoveryTimeoutMs: number
  /** The longest it stays open. Default 10 min. */
  readonly maxRecoveryTimeoutMs: number
  /** After this long without an outcome a probe is given up and another call may probe. Default 30 s. */
  readonly probeLeaseMs: number
}

/** What a call was let through as. Its outcome counts only while the breaker is still in that epoch. */
export interface BreakerPermit {
  /** Grows with each transition and with each new probe. */
  readonly epoch: number
  readonly probe: boolean
}

export type BreakerAnswer =
  | { readonly allowed: true; readonly permit: BreakerPermit }
  | { readonly allowed: false; readonly state: BreakerState; readonly retryAfterMs: number }

export type BreakerOutcome = 'success' | 'failure' | 'abandoned'

/** One change of state: the row of `circuit_breaker_events`. */
export interface BreakerTransition {
  readonly service: string
  readonly from: BreakerState
  readonly to: BreakerState
  readonly epoch: number
  readonly failureCount: number
  /** Wall time in milliseconds since 1970. */
  readonly at: number
  readonly reason: string
}

/** What is known about one service. Times are wall time in milliseconds since 1970, null where it never happened. */
export interface BreakerSnapshot {
  readonly state: BreakerState
  readonly epoch: number
  /** Failures in the current window. */
  readonly failureCount: number
  readonly lastFailureAt: number | null
  readonly lastSuccessAt: number | null
  readonly openedAt: number | null
  /** While open: how long until a probe may go through. */
  readonly retryAfterMs: number
}

export interface BreakerStep<T> {
  readonly answer: T
  readonly transition?: BreakerTransition
}

/** Where the state of breakers is kept. Each method is one atomic step, timed by the store's own clock. */
export interface BreakerStore {
  /** Asks whether a call may go through, before it is made. */
  before(service: string, rules: BreakerRules): Promise<BreakerStep<BreakerAnswer>>
  /** Tells how a call that was let through ended. */
  after(
    service: string,
    rules: BreakerRules,
    permit: BreakerPermit,
    outcome: BreakerOutcome,
    reason: string,
  ): Promise<BreakerStep<void>>
  read(service: string, rules: BreakerRules): Promise<BreakerSnapshot>
}

/** Stands before one service and stops calling it while it is sick. See SPEC.md in this folder. */
export interface Breaker {
  readonly service: string
  /**
   * Makes the call, or rejects at once with TM_RESILIENCE_BREAKER_OPEN.
   * A call that ends by the caller's own abort counts neither as success nor as failure.
   */
  run<T>(call: (signal: AbortSignal) => Promise<T>, options?: { readonly signal?: AbortSignal }): Promise<T>
  read(): Promise<BreakerSnapshot>
}

/** At most `limit` calls in any span of `windowMs`. */
export interface LimitRule {
  readonly limit: number
  readonly windowMs: number
}

export interface LimitDecision {
  readonly allowed: boolean
  readonly limit: number
  /** How many more calls the window holds now. */
  readonly remaining: number
  /** 0 where allowed; else how long until this call fits. */
  readonly retryAfterMs: number
  /** How long until the whole limit is free again. */
  readonly resetMs: number
}

/** Where the calls of limiters are counted. `take` is one atomic step, timed by the store's own clock. */
export interface LimiterStore {
  take(key: string, rule: LimitRule, cost: number): Promise<LimitDecision>
}

export interface Limiter {
  readonly name: string
  readonly rule: LimitRule
  /** Counts `cost` calls for the key if they fit, else counts nothing. */
  take(key: string, cost?: number): Promise<LimitDecision>
  /** As `take`, but raises TM_RESILIENCE_RATE_LIMITED where the calls do not fit. */
  enforce(key: string, cost?: number): Promise<LimitDecision>
}
