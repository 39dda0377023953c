import { TidemarkError } from '../../errors.js'
import { positive, positiveInteger } from '../checks.js'

/** When a breaker opens, for how long, and what closes it again. */
export interface BreakerRules {
  /** What counts is what ended within this time. Default 10 s. */
  readonly windowMs: number
  /** Opens where at least this part of the calls failed or was slow … Default 0.5. */
  readonly failureRate: number
  /** … and at least so many ended. Default 20. */
  readonly minCalls: number
  /** Opens at so many failures instead, whatever their part (R70's THRESHOLD); 0 for the rate. Default 0. */
  readonly failureThreshold: number
  /** So many time-outs one after another open as well; 0 for never. Default 5. */
  readonly consecutiveTimeouts: number
  /** A call that takes longer counts as a failure, however it ends. Default: none does. */
  readonly slowCallMs: number
  /** How long it stays open the first time (R70's RECOVERY_TIMEOUT). It doubles with every probe that fails. Default 5 s. */
  readonly recoveryTimeoutMs: number
  /** The longest it stays open, but for jitter. Default 5 min. */
  readonly maxRecoveryTimeoutMs: number
  /** So much longer at most, by chance: many breakers do not probe together. Default 0.2. */
  readonly jitter: number
  /** After this long without an outcome a probe is given up, and another call may probe. Default 30 s. */
  readonly probeLeaseMs: number
  /** Probes that have to succeed, one after another, until all calls go through. Default 3. */
  readonly successesToClose: number
}

const defaults: BreakerRules = {
  windowMs: 10_000,
  failureRate: 0.5,
  minCalls: 20,
  failureThreshold: 0,
  consecutiveTimeouts: 5,
  slowCallMs: Number.POSITIVE_INFINITY,
  recoveryTimeoutMs: 5_000,
  maxRecoveryTimeoutMs: 300_000,
  jitter: 0.2,
  probeLeaseMs: 30_000,
  successesToClose: 3,
}

/** The rules with every default filled in. Raises TM_RESILIENCE_BAD_OPTION. */
export const breakerRules = (given: Partial<BreakerRules>): BreakerRules => {
  const names = Object.keys(defaults) as (keyof BreakerRules)[]
  const rules = Object.fromEntries(names.map((name) => [name, given[name] ?? defaults[name]])) as unknown as BreakerRules
  for (const name of names.filter((each) => each !== 'slowCallMs')) {
    if (Number.isFinite(rules[name])) continue
    throw new TidemarkError('TM_RESILIENCE_BAD_OPTION', {
      option: name,
      value: rules[name],
      expected: 'a number that ends somewhere',
    })
  }
  const { windowMs, failureRate, minCalls, slowCallMs, recoveryTimeoutMs, maxRecoveryTimeoutMs, probeLeaseMs } = rules
  positive({ windowMs, failureRate, slowCallMs, recoveryTimeoutMs, maxRecoveryTimeoutMs, probeLeaseMs })
  positive({ 'jitter + 1': rules.jitter + 1 })
  positiveInteger({ minCalls, successesToClose: rules.successesToClose })
  // One more than each: 0 switches them off.
  positiveInteger({
    'failureThreshold + 1': rules.failureThreshold + 1,
    'consecutiveTimeouts + 1': rules.consecutiveTimeouts + 1,
  })
  return rules
}

/** What one process saw within the window. */
export interface Evidence {
  readonly calls: number
  /** Failures, time-outs among them, and slow calls. */
  readonly bad: number
  /** One after another, as of now. */
  readonly timeouts: number
}

/** Whether what one process saw speaks for opening: its vote. Where failures are counted, and no rate, one is enough to have seen. */
export const isVote = ({ calls, bad, timeouts }: Evidence, rules: BreakerRules): boolean => {
  if (rules.consecutiveTimeouts > 0 && timeouts >= rules.consecutiveTimeouts) return true
  if (rules.failureThreshold > 0) return bad > 0
  // Fewer calls say nothing about whether it is the service or the caller that is sick.
  return bad > 0 && calls >= Math.min(4, rules.minCalls) && bad >= calls * rules.failureRate
}

/** Whether a process that stands alone opens. Among several, the shared state counts votes. */
export const isSick = ({ calls, bad, timeouts }: Evidence, rules: BreakerRules): boolean => {
  if (rules.consecutiveTimeouts > 0 && timeouts >= rules.consecutiveTimeouts) return true
  if (rules.failureThreshold > 0) return bad >= rules.failureThreshold
  return calls >= rules.minCalls && bad >= calls * rules.failureRate
}
