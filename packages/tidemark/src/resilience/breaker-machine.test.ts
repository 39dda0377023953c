import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { afterCall, beforeCall, newBreakerRecord, snapshotOf } from './breaker-machine.js'
import { breakerTable } from './breaker-table.js'
import type { BreakerPermit, BreakerRules, BreakerState } from './resilience.js'

const rules: BreakerRules = {
  failureThreshold: 3,
  windowMs: 100,
  recoveryTimeoutMs: 50,
  maxRecoveryTimeoutMs: 200,
  probeLeaseMs: 30,
}

type Act =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'call' }
  | { readonly kind: 'end'; readonly which: number; readonly outcome: 'success' | 'failure' | 'abandoned' }

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 80 }) }),
  fc.constant({ kind: 'call' as const }),
  fc.record({
    kind: fc.constant('end' as const),
    which: fc.nat(),
    outcome: fc.constantFrom('success' as const, 'failure' as const, 'failure' as const, 'abandoned' as const),
  }),
)

const reachable = new Set(
  Object.entries(breakerTable).flatMap(([from, row]) =>
    Object.values(row).flatMap((move) => (move === 'impossible' ? [] : [`${from}>${move.to}`])),
  ),
)

describe('the breaker under random walks', () => {
  it('moves only along its table, has at most one live probe, and never lets more than the threshold of failures pass', () => {
    const property = fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      let now = 1000
      let record = newBreakerRecord
      const running: { permit: BreakerPermit; at: number }[] = []
      const moved = (from: BreakerState) => expect(reachable).toContain(`${from}>${record.state}`)
      for (const step of acts) {
        const before = record
        if (step.kind === 'wait') {
          now += step.ms
          continue
        }
        if (step.kind === 'call') {
          const asked = beforeCall(record, rules, now)
          record = asked.record
          moved(before.state)
          if (asked.answer.allowed) {
            const { permit } = asked.answer
            const liveProbes = running.filter(
              (r) => r.permit.probe && r.permit.epoch === before.epoch && now < r.at + rules.probeLeaseMs,
            )
            if (before.state === 'HALF_OPEN') expect(liveProbes).toHaveLength(0)
            expect(permit.probe).toBe(before.state !== 'CLOSED')
            running.push({ permit, at: now })
          } else {
            expect(before.state).not.toBe('CLOSED')
            expect(asked.answer.retryAfterMs).toBeGreaterThan(0)
            expect(asked.answer.retryAfterMs).toBeLessThanOrEqual(rules.maxRecoveryTimeoutMs)
          }
        } else if (running.length > 0) {
          const { permit } = running.splice(step.which % running.length, 1)[0]!
          record = afterCall(record, rules, now, permit, step.outcome)
          moved(before.state)
          if (permit.epoch !== before.epoch) expect(record).toEqual(before)
        }
        expect(record.epoch).toBeGreaterThanOrEqual(before.epoch)
        if (record.state !== before.state) expect(record.epoch).toBeGreaterThan(before.epoch)
        expect(record.failuresAt.length).toBeLessThanOrEqual(rules.failureThreshold)
        if (record.state === 'CLOSED') expect(snapshotOf(record, rules, now).failureCount).toBeLessThan(rules.failureThreshold)
        if (record.state === 'OPEN') expect(record.openedAt).not.toBeNull()
      }
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('can always come back: after the longest back-off a successful probe closes it, whatever happened before', () => {
    const property = fc.property(fc.array(act, { maxLength: 100 }), (acts) => {
      let now = 0
      let record = newBreakerRecord
      for (const step of acts) {
        if (step.kind === 'wait') now += step.ms
        if (step.kind === 'call') record = beforeCall(record, rules, now).record
        if (step.kind === 'end')
          record = afterCall(record, rules, now, { epoch: record.epoch, probe: record.state !== 'CLOSED' }, step.outcome)
      }
      now += rules.maxRecoveryTimeoutMs
      const asked = beforeCall(record, rules, now)
      expect(asked.answer.allowed).toBe(true)
      if (asked.answer.allowed) record = afterCall(asked.record, rules, now, asked.answer.permit, 'success')
      expect(record.state).toBe('CLOSED')
    })
    fc.assert(property, { numRuns: 300 })
  })

  it('moves nothing for a permit that does not fit the state', () => {
    const open = { ...newBreakerRecord, state: 'OPEN' as const, epoch: 5, openedAt: 0, openings: 1 }
    expect(afterCall(open, rules, 10, { epoch: 5, probe: false }, 'failure')).toBe(open)
    expect(afterCall(open, rules, 10, { epoch: 5, probe: true }, 'success')).toBe(open)
  })
})
