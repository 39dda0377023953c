import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { propertyRuns } from '../../testing/property-runs.js'
import { type ConditionMemory, fires, inactive, type Look, type MachineTimes, step, transitions } from './machine.js'

const times: MachineTimes = { forMs: 100, keepFiringForMs: 50, resolveTimeoutMs: 400 }

const run = (looks: readonly (readonly [Look, number])[], under: MachineTimes = times): ConditionMemory => {
  let nowMs = 0
  let memory = inactive(nowMs)
  for (const [look, afterMs] of looks) {
    nowMs += afterMs
    memory = step(memory, look, under, nowMs)
  }
  return memory
}

describe('the states of a condition', () => {
  it('waits, fires, ceases and ends', () => {
    expect(run([['holds', 0]]).state).toBe('pending')
    expect(
      run([
        ['holds', 0],
        ['holds', 99],
      ]).state,
    ).toBe('pending')
    expect(
      run([
        ['holds', 0],
        ['holds', 100],
      ]).state,
    ).toBe('firing')
    expect(
      run([
        ['holds', 0],
        ['clear', 99],
        ['holds', 1],
      ]).state,
    ).toBe('pending')
    const fired = [
      ['holds', 0],
      ['holds', 100],
    ] as const
    expect(run([...fired, ['clear', 10]]).state).toBe('ceasing')
    expect(run([...fired, ['clear', 10], ['clear', 49]]).state).toBe('ceasing')
    expect(run([...fired, ['clear', 10], ['clear', 50]]).state).toBe('resolved')
    expect(run([...fired, ['clear', 10], ['holds', 40], ['clear', 40], ['clear', 49]]).state).toBe('ceasing')
    expect(run([['holds', 0]], { ...times, forMs: 0 }).state).toBe('firing')
    expect(
      run(
        [
          ['holds', 0],
          ['clear', 1],
        ],
        { ...times, forMs: 0, keepFiringForMs: 0 },
      ).state,
    ).toBe('resolved')
  })

  it('stays as it is between the levels, and ends after a long silence', () => {
    const fired = [
      ['holds', 0],
      ['holds', 100],
    ] as const
    expect(run([...fired, ['between', 10_000]]).state).toBe('firing')
    expect(
      run([
        ['holds', 0],
        ['between', 50],
        ['holds', 60],
      ]).state,
    ).toBe('pending')
    expect(run([...fired, ['unknown', 399]]).state).toBe('firing')
    expect(run([...fired, ['unknown', 399], ['unknown', 1]]).state).toBe('resolved')
    expect(run([...fired, ['unknown', 399], ['holds', 1], ['unknown', 399]]).state).toBe('firing')
  })

  it('has a next state for every event in every state', () => {
    const states = Object.keys(transitions)
    for (const row of Object.values(transitions)) {
      expect(Object.keys(row)).toEqual(['holds', 'waited', 'clear', 'kept', 'silent', 'nothing'])
      for (const next of Object.values(row)) expect(states).toContain(next)
    }
  })

  it('ALERT-1: whatever is seen, fires only after it held for the whole time, and ends only after it was clear for the whole time', () => {
    const look = fc.constantFrom<Look>('holds', 'between', 'clear', 'unknown')
    const looks = fc.array(fc.tuple(look, fc.integer({ min: 0, max: 120 })), { maxLength: 60 })
    const given = fc.record({
      forMs: fc.integer({ min: 0, max: 200 }),
      keepFiringForMs: fc.integer({ min: 0, max: 200 }),
      resolveTimeoutMs: fc.integer({ min: 100, max: 500 }),
    })
    fc.assert(
      fc.property(looks, given, (seen, under) => {
        let nowMs = 0
        let memory = inactive(0)
        let heldSince: number | undefined
        let clearSince: number | undefined
        let saidAt = 0
        for (const [look, afterMs] of seen) {
          nowMs += afterMs
          const before = memory
          memory = step(memory, look, under, nowMs)
          if (look === 'holds') heldSince ??= nowMs
          else if (look !== 'unknown') heldSince = undefined
          if (look === 'clear') clearSince ??= nowMs
          else if (look === 'holds') clearSince = undefined
          if (look !== 'unknown') saidAt = nowMs
          const begins = !fires(before.state) && fires(memory.state)
          if (begins) expect(look === 'holds' && nowMs - heldSince! >= under.forMs).toBe(true)
          const ends = fires(before.state) && !fires(memory.state)
          if (ends && look === 'unknown') expect(nowMs - saidAt).toBeGreaterThanOrEqual(under.resolveTimeoutMs)
          else if (ends) expect(look === 'clear' && nowMs - clearSince! >= under.keepFiringForMs).toBe(true)
          if (fires(before.state) && (look === 'holds' || look === 'between')) expect(fires(memory.state)).toBe(true)
        }
      }),
      propertyRuns(500),
    )
  })
})
