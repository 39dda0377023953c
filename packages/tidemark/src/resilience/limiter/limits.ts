/**
 * How calls are counted.
 *
 * `log` keeps each call's moment: no span of the window ever holds more than the limit. For limits that a contract names.
 * `ring` counts in twenty buckets and never admits more either, now and then less (up to a twentieth of the window longer). For large limits.
 * `gcra` spaces calls evenly after a burst: in the long run the limit, in one window up to the limit and the burst. For pacing one's own calls.
 */
export type LimitAlgorithm = 'log' | 'ring' | 'gcra'

/** At most `limit` calls in any span of `windowMs`. */
export interface LimitRule {
  readonly limit: number
  readonly windowMs: number
  /** Default `log`. */
  readonly algorithm?: LimitAlgorithm
  /** For `gcra`: calls at once after a pause. Default a tenth of the limit. */
  readonly burst?: number
  /**
   * Where calls are counted together and that place is away: `local` counts them in this process, up to its share of the limit; `open` lets
   * them through. Default `local`.
   */
  readonly whenAway?: 'local' | 'open'
}

/** A rule with everything filled in. */
export type WholeRule = Required<LimitRule>

export interface LimitDecision {
  readonly allowed: boolean
  readonly limit: number
  /** How many more calls may be made now. */
  readonly remaining: number
  /** 0 where allowed; else how long until this call fits. */
  readonly retryAfterMs: number
  /** How long until the whole limit is free again. */
  readonly resetMs: number
  /** The moment of that: wall time in milliseconds since 1970. */
  readonly resetAt: number
  /** Which of several rules it is about: the one that refuses longest, else the one with least left. */
  readonly windowMs: number
  /**
   * `counted` where calls are counted; `remembered`: refused by what this process knows of an earlier refusal; `local` and `open`: that place is
   * away, see {@link LimitRule.whenAway}.
   */
  readonly by: 'counted' | 'remembered' | 'local' | 'open'
}

export interface LimitRequest {
  readonly key: string
  readonly rule: WholeRule
  readonly cost: number
  /** Tells the further rules of one limiter apart, which count the same key. */
  readonly variant?: string
}

export type LimitTaken = LimitDecision & {
  /** What `giveBack` wants; meaningless elsewhere. */
  readonly receipt: string
}

/** Where the calls of limiters are counted, each step atomic and timed by the store's own clock. */
export interface LimiterStore {
  /** Counts `cost` calls if they fit, else nothing. */
  take(request: LimitRequest): Promise<LimitTaken>
  /** What was taken is free again: another rule of the same decision refused. */
  giveBack(request: LimitRequest, taken: LimitTaken): Promise<void>
}

/** Decisions, by who took them. */
export type LimiterCounts = Readonly<Record<'allowed' | 'refused' | 'remembered' | 'local' | 'open', number>>

export interface Limiter {
  readonly name: string
  /** The first of its rules. */
  readonly rule: WholeRule
  readonly rules: readonly WholeRule[]
  readonly counts: LimiterCounts
  /** Counts `cost` calls for the key if they fit into every rule, else counts nothing. */
  take(key: string, cost?: number): Promise<LimitDecision>
  /** As `take`, but raises TM_RESILIENCE_RATE_LIMITED where the calls do not fit. */
  enforce(key: string, cost?: number): Promise<LimitDecision>
}
