import { exponential } from './backoff.js'
import { type BreakerEvent, type BreakerMove, breakerTable } from './breaker-table.js'
import type { BreakerAnswer, BreakerOutcome, BreakerPermit, BreakerRules, BreakerSnapshot, BreakerState } from './resilience.js'

/** All that is kept of one service. Times are milliseconds on one clock that never goes back. */
export interface BreakerRecord {
  readonly state: BreakerState
  readonly epoch: number
  /** When the failures of the current window happened, oldest first; never more than the threshold. */
  readonly failuresAt: readonly number[]
  /** Failed openings in a row: the power of the back-off. */
  readonly openings: number
  readonly openedAt: number | null
  /** While half open: until when the probe may take. */
  readonly leaseEndsAt: number | null
  readonly lastFailureAt: number | null
  readonly lastSuccessAt: number | null
}

export const newBreakerRecord: BreakerRecord = {
  state: 'CLOSED',
  epoch: 0,
  failuresAt: [],
  openings: 0,
  openedAt: null,
  leaseEndsAt: null,
  lastFailureAt: null,
  lastSuccessAt: null,
}

interface Moved {
  readonly record: BreakerRecord
  readonly move: BreakerMove
}

const backoffMs = (record: BreakerRecord, rules: BreakerRules): number =>
  exponential(record.openings, { baseMs: rules.recoveryTimeoutMs, maxMs: rules.maxRecoveryTimeoutMs })

const inWindow = (record: BreakerRecord, rules: BreakerRules, now: number): readonly number[] =>
  record.failuresAt.filter((at) => at > now - rules.windowMs)

const waitMs = (record: BreakerRecord, rules: BreakerRules, now: number): number => {
  if (record.state === 'OPEN') return Math.max(0, (record.openedAt ?? now) + backoffMs(record, rules) - now)
  return record.state === 'HALF_OPEN' ? Math.max(0, (record.leaseEndsAt ?? now) - now) : 0
}

const callEvent = (record: BreakerRecord, rules: BreakerRules, now: number): BreakerEvent => {
  if (record.state === 'CLOSED' || waitMs(record, rules, now) > 0) return 'call'
  return record.state === 'OPEN' ? 'callAfterBackoff' : 'callAfterLease'
}

const outcomeEvent = (
  record: BreakerRecord,
  rules: BreakerRules,
  now: number,
  permit: BreakerPermit,
  outcome: BreakerOutcome,
): BreakerEvent => {
  if (permit.epoch !== record.epoch) return 'late'
  if (permit.probe) return outcome === 'success' ? 'probeSuccess' : outcome === 'failure' ? 'probeFailure' : 'probeAbandoned'
  if (outcome !== 'failure') return outcome
  return inWindow(record, rules, now).length + 1 >= rules.failureThreshold ? 'failureAtThreshold' : 'failure'
}

/** Epochs follow the clock, so that they go on growing where the record itself was lost. */
const nextEpoch = (record: BreakerRecord, now: number): number => Math.max(record.epoch + 1, Math.floor(now))

const change = (record: BreakerRecord, move: BreakerMove, rules: BreakerRules, now: number): Partial<BreakerRecord> => {
  const epoch = nextEpoch(record, now)
  switch (move.act) {
    case 'probe':
      return { epoch, leaseEndsAt: now + rules.probeLeaseMs }
    case 'release':
      return { epoch, leaseEndsAt: now }
    case 'count':
      return { failuresAt: [...inWindow(record, rules, now), now], lastFailureAt: now }
    case 'open':
    case 'reopen':
      return {
        epoch,
        openings: record.openings + 1,
        failuresAt: [...inWindow(record, rules, now), now].slice(-rules.failureThreshold),
        openedAt: now,
        leaseEndsAt: null,
        lastFailureAt: now,
      }
    case 'close':
      return { epoch, openings: 0, failuresAt: [], openedAt: null, leaseEndsAt: null, lastSuccessAt: now }
    case 'note':
      return { lastSuccessAt: now }
    default:
      return {}
  }
}

const step = (record: BreakerRecord, event: BreakerEvent, rules: BreakerRules, now: number): Moved => {
  const move: BreakerMove | 'impossible' = breakerTable[record.state][event]
  // An outcome that does not belong to this state (a forged permit, a changed rule) moves nothing.
  if (move === 'impossible') return { record, move: { to: record.state, act: 'ignore' } }
  return { record: { ...record, ...change(record, move, rules, now), state: move.to }, move }
}

/** A call asks to go through at `now`. */
export const beforeCall = (
  record: BreakerRecord,
  rules: BreakerRules,
  now: number,
): { readonly record: BreakerRecord; readonly answer: BreakerAnswer } => {
  const { record: next, move } = step(record, callEvent(record, rules, now), rules, now)
  if (move.act === 'refuse') {
    return { record: next, answer: { allowed: false, state: next.state, retryAfterMs: waitMs(next, rules, now) } }
  }
  return { record: next, answer: { allowed: true, permit: { epoch: next.epoch, probe: move.act === 'probe' } } }
}

/** A call that was let through as `permit` ended at `now`. */
export const afterCall = (
  record: BreakerRecord,
  rules: BreakerRules,
  now: number,
  permit: BreakerPermit,
  outcome: BreakerOutcome,
): BreakerRecord => step(record, outcomeEvent(record, rules, now, permit, outcome), rules, now).record

export const snapshotOf = (record: BreakerRecord, rules: BreakerRules, now: number): BreakerSnapshot => ({
  state: record.state,
  epoch: record.epoch,
  failureCount: record.state === 'CLOSED' ? inWindow(record, rules, now).length : record.failuresAt.length,
  lastFailureAt: record.lastFailureAt,
  lastSuccessAt: record.lastSuccessAt,
  openedAt: record.openedAt,
  retryAfterMs: waitMs(record, rules, now),
})
