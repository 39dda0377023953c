import { describe, expect, it, vi } from 'vitest'
import { TidemarkError } from '../errors.js'
import { createSignals } from '../observability/signals.js'
import { createFakeClock } from '../testing/fake-clock.js'
import type { BreakerChange } from './breaker/breaker.js'
import { type BreakerOptions, createBreaker } from './breaker.js'

const sick = async (): Promise<never> => {
  throw new Error('connect ECONNREFUSED')
}
const well = async () => 'fine'

const setUp = (options: Partial<BreakerOptions> = {}) => {
  const clock = createFakeClock(1_000_000)
  const transitions: BreakerChange[] = []
  const rules = {
    failureThreshold: 3,
    recoveryTimeoutMs: 1000,
    maxRecoveryTimeoutMs: 4000,
    probeLeaseMs: 500,
    jitter: 0,
    successesToClose: 1,
  }
  const onTransition = (change: BreakerChange) => void transitions.push(change)
  const breaker = createBreaker({ service: 'crm', ...rules, clock, onTransition, ...options })
  const fail = async (times = 1) => {
    for (let i = 0; i < times; i++) await breaker.run(sick).catch(() => {})
  }
  const path = () => transitions.map(({ from, to }) => `${from}>${to}`)
  return { clock, breaker, transitions, fail, path }
}

describe('the circuit breaker', () => {
  it('C4: starts closed, writes a transition only when the state changes, and always knows the state before', async () => {
    const { breaker, fail, transitions } = setUp()
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', failureCount: 0, lastFailureAt: null, openedAt: null })
    await fail(2)
    expect(transitions).toEqual([])
    await fail()
    expect(transitions).toEqual([{ service: 'crm', from: 'CLOSED', to: 'OPEN', failureCount: 3, reason: 'connect ECONNREFUSED' }])
    expect(breaker.read()).toMatchObject({ epoch: 1_000_000, openedAt: 1_000_000, lastFailureAt: 1_000_000, scope: 'own' })
  })

  it('C4: counts failures in a window, so that old ones do not open it', async () => {
    const { breaker, clock, fail } = setUp()
    await fail(2)
    await clock.advance(10_000)
    await fail(2)
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', failureCount: 2 })
    await fail()
    expect(breaker.read().state).toBe('OPEN')
  })

  it('refuses calls while open, and says when to come back', async () => {
    const { breaker, clock, fail } = setUp()
    await fail(3)
    await clock.advance(400)
    const call = vi.fn(well)
    await expect(breaker.run(call)).rejects.toMatchObject({
      code: 'TM_RESILIENCE_BREAKER_OPEN',
      parameters: { service: 'crm', retryAfterMs: 600 },
    })
    expect(call).not.toHaveBeenCalled()
  })

  it('C3: does not close by the passing of time: a probe has to succeed first, and that resets everything', async () => {
    const { breaker, clock, fail, path } = setUp()
    await fail(3)
    await clock.advance(3_600_000)
    expect(breaker.read().state).toBe('OPEN')
    expect(await breaker.run(well)).toBe('fine')
    expect(path()).toEqual(['CLOSED>OPEN', 'OPEN>HALF_OPEN', 'HALF_OPEN>CLOSED'])
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', failureCount: 0, openedAt: null, lastSuccessAt: 4_600_000 })
    await fail(2)
    expect(breaker.read().state).toBe('CLOSED')
  })

  it('C3: one failed probe opens it again, for twice as long each time, up to the bound', async () => {
    const { breaker, clock, fail } = setUp()
    await fail(3)
    for (const backoffMs of [1000, 2000, 4000, 4000]) {
      expect(breaker.read().retryAfterMs).toBe(backoffMs)
      await clock.advance(backoffMs - 1)
      await expect(breaker.run(well)).rejects.toMatchObject({ code: 'TM_RESILIENCE_BREAKER_OPEN' })
      await clock.advance(1)
      await expect(breaker.run(sick)).rejects.toThrow('ECONNREFUSED')
    }
    await clock.advance(4000)
    await breaker.run(well)
    await fail(3)
    expect(breaker.read().retryAfterMs).toBe(1000)
  })

  it('C3: of 20 calls at once after the back-off, exactly one probes', async () => {
    const { breaker, clock, fail } = setUp()
    await fail(3)
    await clock.advance(1000)
    let calls = 0
    const slow = async () => {
      calls++
      await clock.sleep(100)
    }
    const outcomes = Promise.allSettled(Array.from({ length: 20 }, () => breaker.run(slow)))
    await clock.advance(50)
    expect(breaker.read()).toMatchObject({ state: 'HALF_OPEN', retryAfterMs: 450 })
    await clock.advance(50)
    expect((await outcomes).filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(calls).toBe(1)
    expect(breaker.read().state).toBe('CLOSED')
  })

  it('gives the lease of a probe that never ends to the next call, and ignores the first one when it ends after all', async () => {
    const { breaker, clock, fail } = setUp()
    await fail(3)
    await clock.advance(1000)
    const lost = breaker.run(async () => {
      await clock.sleep(800)
      return sick()
    })
    lost.catch(() => {})
    await clock.advance(500)
    expect(await breaker.run(well)).toBe('fine')
    await clock.advance(300)
    await expect(lost).rejects.toThrow()
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', failureCount: 0 })
  })

  it('counts the outcome of a call only in the epoch in which it was let through', async () => {
    const { breaker, clock, fail } = setUp({ failureThreshold: 1 })
    const slow = breaker.run(async () => {
      await clock.sleep(5000)
      return sick()
    })
    slow.catch(() => {})
    await clock.advance(1)
    await fail()
    await clock.advance(1000)
    await breaker.run(well)
    await clock.advance(5000)
    await expect(slow).rejects.toThrow()
    expect(breaker.read().state).toBe('CLOSED')
  })

  it("takes a caller's abort for no verdict, and frees the lease of an aborted probe", async () => {
    const { breaker, clock, fail } = setUp()
    const abortedCall = async () => {
      const controller = new AbortController()
      const call = breaker.run((signal) => clock.sleep(10_000, signal), { signal: controller.signal })
      const checked = expect(call).rejects.toThrow('gone')
      await clock.advance(0)
      controller.abort(new Error('gone'))
      await checked
    }
    for (let i = 0; i < 5; i++) await abortedCall()
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', failureCount: 0 })
    await fail(3)
    await clock.advance(1000)
    await abortedCall()
    expect(breaker.read().state).toBe('HALF_OPEN')
    expect(await breaker.run(well)).toBe('fine')
    expect(breaker.read().state).toBe('CLOSED')
  })

  it('does not blame the service for a bad request', async () => {
    const { breaker } = setUp({ failureThreshold: 1 })
    const badRequest = async () => {
      throw new TidemarkError('TM_SERVER_BAD_REQUEST', { reason: 'no id' })
    }
    await expect(breaker.run(badRequest)).rejects.toMatchObject({ code: 'TM_SERVER_BAD_REQUEST' })
    expect(breaker.read().state).toBe('CLOSED')
  })

  it('is not affected by a correction of the system clock', async () => {
    const { breaker, clock, fail } = setUp()
    await fail(3)
    clock.shiftWall(86_400_000)
    expect(breaker.read().retryAfterMs).toBe(1000)
    clock.shiftWall(-2 * 86_400_000)
    expect(breaker.read().retryAfterMs).toBe(1000)
  })

  it('raises a signal for each transition, and survives a listener that throws', async () => {
    const signals = createSignals()
    const { breaker, clock, fail } = setUp({
      signals,
      onTransition: () => {
        throw new Error('listener')
      },
    })
    await fail(3)
    await clock.advance(1000)
    await breaker.run(well)
    expect(signals.recent().map(({ name, severity, subject }) => [name, severity, subject])).toEqual([
      ['breaker.opened', 'critical', 'crm'],
      ['breaker.probing', 'info', 'crm'],
      ['breaker.closed', 'info', 'crm'],
    ])
  })

  it('C4: opens at half of at least twenty calls by default, slow ones among them', async () => {
    const clock = createFakeClock()
    const breaker = createBreaker({ service: 'crm', clock, slowCallMs: 100 })
    const slow = async () => {
      const call = breaker.run(() => clock.sleep(101))
      await clock.advance(101)
      await call
    }
    for (let n = 0; n < 10; n++) await breaker.run(well)
    for (let n = 0; n < 5; n++) await breaker.run(sick).catch(() => {})
    for (let n = 0; n < 4; n++) await slow()
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', evidence: { calls: 19, bad: 9 } })
    await slow()
    expect(breaker.read()).toMatchObject({ state: 'OPEN', failureCount: 10, reason: 'a call took longer than 100 ms' })
    expect(breaker.counts).toMatchObject({ good: 10, failed: 5, slow: 5 })
  })

  it('opens at time-outs that follow one another, however few calls there are', async () => {
    const { breaker } = setUp({ failureThreshold: 0, consecutiveTimeouts: 3 })
    const late = () => breaker.run(() => Promise.reject(new DOMException('late', 'TimeoutError'))).catch(() => {})
    await late()
    await late()
    await breaker.run(well)
    await late()
    await late()
    expect(breaker.read().state).toBe('CLOSED')
    await late()
    expect(breaker.read().state).toBe('OPEN')
  })

  it('stays open up to a fifth longer, by chance', async () => {
    const { breaker, fail } = setUp({ jitter: 0.2, random: () => 0.5 })
    await fail(3)
    expect(breaker.read().retryAfterMs).toBe(1100)
  })

  it('takes what an answer says of the service: below 500 the request is at fault, 429 asks for a pause', async () => {
    const { breaker, clock } = setUp({ failureThreshold: 1 })
    const answer = (status: number, headers = {}) => breaker.run(async () => new Response(null, { status, headers }))
    for (const status of [200, 301, 400, 401, 404, 409, 422]) await answer(status)
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', evidence: { calls: 7, bad: 0 } })
    expect((await answer(429, { 'retry-after': '2' })).status).toBe(429)
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', retryAfterMs: 2000, evidence: { calls: 7, bad: 0 } })
    await expect(answer(200)).rejects.toMatchObject({
      code: 'TM_RESILIENCE_THROTTLED',
      parameters: { service: 'crm', retryAfterMs: 2000 },
    })
    await clock.advance(2000)
    await breaker
      .run(() => Promise.reject(Object.assign(new Error('slow down'), { status: 429, retryAfterMs: 300 })))
      .catch(() => {})
    await expect(answer(200)).rejects.toMatchObject({ code: 'TM_RESILIENCE_THROTTLED', parameters: { retryAfterMs: 300 } })
    await clock.advance(300)
    await answer(503)
    expect(breaker.read()).toMatchObject({ state: 'OPEN', failureCount: 1 })
  })

  it('needs as many good probes as it is told to, one after another', async () => {
    const { breaker, clock, fail } = setUp({ successesToClose: 3 })
    await fail(3)
    await clock.advance(1000)
    await breaker.run(well)
    await breaker.run(well)
    expect(breaker.read().state).toBe('HALF_OPEN')
    await breaker.run(well)
    expect(breaker.read().state).toBe('CLOSED')
  })

  it('is held open or closed by an operator, until the time is over or it is let go', async () => {
    const { breaker, clock, fail, path } = setUp()
    await breaker.operate({ act: 'open', reason: 'maintenance', forMs: 5000 })
    expect(breaker.read()).toMatchObject({ state: 'OPEN', forced: 'OPEN', reason: 'maintenance', retryAfterMs: 5000 })
    await clock.advance(4999)
    await expect(breaker.run(well)).rejects.toMatchObject({ code: 'TM_RESILIENCE_BREAKER_OPEN' })
    await clock.advance(1)
    await breaker.run(well)
    expect(path()).toEqual(['CLOSED>OPEN', 'OPEN>HALF_OPEN', 'HALF_OPEN>CLOSED'])
    await breaker.operate({ act: 'close', reason: 'we know', forMs: 0 })
    await fail(10)
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', forced: 'CLOSED', forcedUntil: null })
    await breaker.operate({ act: 'reset', reason: 'again', forMs: 0 })
    expect(breaker.read()).toMatchObject({ state: 'CLOSED', forced: null, evidence: { calls: 0 } })
    await fail(3)
    expect(breaker.read().state).toBe('OPEN')
    await breaker.operate({ act: 'reset', reason: 'again', forMs: 0 })
    expect(await breaker.run(well)).toBe('fine')
  })

  it('masks secrets in the reason of a transition', async () => {
    const { breaker, transitions } = setUp({ failureThreshold: 1 })
    const leak = () => Promise.reject(new Error('postgres://u:hunter2@h/db refused'))
    await breaker.run(leak).catch(() => {})
    expect(transitions[0]?.reason).toBe('postgres://u:***@h/db refused')
  })

  it('refuses rules that make no sense', () => {
    for (const rule of [
      { minCalls: 0 },
      { failureThreshold: 1.5 },
      { windowMs: -1 },
      { probeLeaseMs: Number.NaN },
      { recoveryTimeoutMs: Infinity },
    ]) {
      expect(() => createBreaker({ service: 'x', ...rule })).toThrow(/is not valid/)
    }
  })
})
