import { type Logger, type Signals, silentLogger } from '../observability/observability.js'
import { type Clock, systemClock } from '../time/clock.js'
import type { Breaker, BreakerChange } from './breaker/breaker.js'
import type { BreakerRules } from './breaker/breaker-rules.js'
import { newInstance } from './breaker/instance.js'
import type { Verdict } from './breaker/judge.js'
import { ServiceBreaker } from './breaker/service-breaker.js'
import type { BreakerRows, SharedCircuits } from './breaker/shared-circuits.js'

export type { Breaker } from './breaker/breaker.js'

export interface BreakerOptions extends Partial<BreakerRules> {
  readonly service: string
  /** What an error says of the service. Default {@link judgeError}: by its HTTP status, and whether it is a time-out. */
  readonly judge?: (error: unknown) => Verdict
  /** The same in short, where it is a failure or the service is well. Goes before `judge`. */
  readonly isFailure?: (error: unknown) => boolean
  /** What an answer says of it. Default: that of `fetch` carries a status, any other is good. */
  readonly judgeResult?: (result: unknown) => Verdict
  /** Called once for each change of state that this process sees, after it happened. What it throws is logged and goes no further. */
  readonly onTransition?: (change: BreakerChange) => void | Promise<void>
  readonly signals?: Signals
  readonly log?: Logger
  readonly clock?: Clock
  /** From 0 up to 1. */
  readonly random?: () => number
}

/** What breakers of one process have in common. */
export interface BreakerSurroundings {
  readonly shared?: SharedCircuits
  readonly rows?: BreakerRows
  /** Names the process among those that share. */
  readonly instance: string
}

/** Makes a breaker of this process alone. {@link createBreakers} makes those that processes share. Raises TM_RESILIENCE_BAD_OPTION. */
export const createBreaker = (options: BreakerOptions): Breaker =>
  new ServiceBreaker(options, { instance: newInstance() }, options.clock ?? systemClock, options.log ?? silentLogger)
