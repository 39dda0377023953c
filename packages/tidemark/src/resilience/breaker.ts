import { isTidemarkError, reasonOf, TidemarkError } from '../errors.js'
import { type Logger, type Signals, silentLogger } from '../observability/observability.js'
import { type Clock, systemClock } from '../time/clock.js'
import { positive, positiveInteger } from './checks.js'
import { createMemoryBreakerStore } from './memory-breaker-store.js'
import type { Breaker, BreakerOutcome, BreakerRules, BreakerState, BreakerStore, BreakerTransition } from './resilience.js'

export interface BreakerOptions extends Partial<BreakerRules> {
  readonly service: string
  /** Where the state is kept. Default: in this process. */
  readonly store?: BreakerStore
  /** Whether an error tells that the service is sick. Default {@link isServiceFailure}. */
  readonly isFailure?: (error: unknown) => boolean
  /** Called once for each change of state, after it happened. What it throws is logged and goes no further. */
  readonly onTransition?: (transition: BreakerTransition) => void | Promise<void>
  readonly signals?: Signals
  readonly log?: Logger
  readonly clock?: Clock
}

const defaultRules: BreakerRules = {
  failureThreshold: 5,
  windowMs: 60_000,
  recoveryTimeoutMs: 30_000,
  maxRecoveryTimeoutMs: 600_000,
  probeLeaseMs: 30_000,
}

const rulesOf = (options: BreakerOptions): BreakerRules => {
  const rules: BreakerRules = {
    failureThreshold: options.failureThreshold ?? defaultRules.failureThreshold,
    windowMs: options.windowMs ?? defaultRules.windowMs,
    recoveryTimeoutMs: options.recoveryTimeoutMs ?? defaultRules.recoveryTimeoutMs,
    maxRecoveryTimeoutMs: options.maxRecoveryTimeoutMs ?? defaultRules.maxRecoveryTimeoutMs,
    probeLeaseMs: options.probeLeaseMs ?? defaultRules.probeLeaseMs,
  }
  positive({ ...rules })
  positiveInteger({ failureThreshold: rules.failureThreshold })
  return rules
}

/** True for anything but a TidemarkError that blames the request (an HTTP status below 500 and no use in repeating it). */
export const isServiceFailure = (error: unknown): boolean => !isTidemarkError(error) || error.retryable || error.httpStatus >= 500

const signalNames = { OPEN: 'breaker.opened', HALF_OPEN: 'breaker.probing', CLOSED: 'breaker.closed' } as const satisfies Record<
  BreakerState,
  string
>

const announce = ({ onTransition, signals, log = silentLogger }: BreakerOptions, transition: BreakerTransition): void => {
  const { service, from, to, reason, failureCount } = transition
  log.info('circuit breaker changed state', { service, from, to, reason, failureCount })
  const message = `The circuit breaker of ${service} went from ${from} to ${to}: ${reason}.`
  signals?.raise({ name: signalNames[to], subject: service, message, details: { from, to, failureCount } })
  void (async () => onTransition?.(transition))().catch((err: unknown) => log.error('a listener to breakers failed', { err }))
}

/** Makes the breaker of one service. Raises TM_RESILIENCE_BAD_OPTION. */
export const createBreaker = (options: BreakerOptions): Breaker => {
  const { service, isFailure = isServiceFailure, clock = systemClock, log = silentLogger } = options
  const rules = rulesOf(options)
  const store = options.store ?? createMemoryBreakerStore({ clock })

  const told = <T>({ answer, transition }: { readonly answer: T; readonly transition?: BreakerTransition }): T => {
    if (transition) announce(options, transition)
    return answer
  }

  const outcomeOf = (error: unknown, signal: AbortSignal | undefined): BreakerOutcome => {
    if (signal?.aborted) return 'abandoned'
    return isFailure(error) ? 'failure' : 'success'
  }

  return {
    service,
    read: () => store.read(service, rules),
    run: async (call, { signal } = {}) => {
      signal?.throwIfAborted()
      const answer = told(await store.before(service, rules))
      if (!answer.allowed) {
        const retryAfterMs = Math.ceil(answer.retryAfterMs)
        throw new TidemarkError('TM_RESILIENCE_BREAKER_OPEN', { service, retryAfterMs })
      }
      const ended = (outcome: BreakerOutcome, reason: string): Promise<void> =>
        store
          .after(service, rules, answer.permit, outcome, reason)
          .then(told)
          .catch((err: unknown) => log.warn('the outcome of a call could not be kept', { service, outcome, err }))
      let result: Awaited<ReturnType<typeof call>>
      try {
        result = await call(signal ?? new AbortController().signal)
      } catch (error) {
        const outcome = outcomeOf(error, signal)
        await ended(outcome, reasonOf(error))
        throw error
      }
      await ended('success', 'a call succeeded')
      return result
    },
  }
}
