import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import { propertyRuns } from '../testing/property-runs.js'
import { createBreaker } from './breaker.js'
import { createBulkhead } from './bulkhead.js'
import { createGuard } from './guard.js'
import { createLimiter } from './limiter.js'
import { createRetryBudget } from './retry-budget.js'

const settled = (promises: readonly Promise<unknown>[]) => Promise.allSettled(promises)
const sick = async (): Promise<never> => {
  throw Object.assign(new Error('503'), { status: 503 })
}

describe('the retry budget', () => {
  it('lets retries be a tenth of the calls of ten seconds, and never more than that or its reserve', () => {
    const step = fc.oneof(fc.constant('call' as const), fc.constant('retry' as const), fc.integer({ min: 1, max: 3000 }))
    const property = fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      let now = 0
      const clock = { ...createFakeClock(), monotonicMs: () => now }
      const budget = createRetryBudget({ clock })
      const calls: number[] = []
      const retries: number[] = []
      for (const each of steps) {
        if (typeof each === 'number') now += each
        else if (each === 'call') {
          calls.push(now)
          budget.called()
        } else if (budget.take()) {
          retries.push(now)
          const within = (moments: readonly number[], ms: number) => moments.filter((at) => at > now - ms).length
          // The window's oldest tenth leaves as a whole.
          expect(within(retries, 9000)).toBeLessThanOrEqual(Math.max(3, within(calls, 10_000) * 0.1))
        }
      }
    })
    fc.assert(property, propertyRuns(200))
  })

  it('counts calls alone: 1,000 of them that all fail are tried again 100 times', async () => {
    const clock = createFakeClock()
    const budget = createRetryBudget({ clock, reserve: 0 })
    const guard = createGuard('crm', { retry: { budget, attempts: 5, clock, random: () => 0, retryable: () => true } })
    let attempts = 0
    const calls = Array.from({ length: 1000 }, () =>
      guard.run(async () => {
        attempts += 1
        return sick()
      }),
    )
    const outcomes = settled(calls)
    await clock.advance(1000)
    await outcomes
    expect(attempts).toBe(1100)
  })
})

describe('the bulkhead', () => {
  it('lets so many through at once, so many wait in their order, and refuses the rest', async () => {
    const clock = createFakeClock()
    const bulkhead = createBulkhead({ service: 'crm', maxConcurrent: 2, maxWaiting: 2 })
    const order: number[] = []
    const calls = [0, 1, 2, 3, 4].map((n) =>
      bulkhead.run(async () => {
        order.push(n)
        await clock.sleep(10)
      }),
    )
    const outcomes = settled(calls)
    await clock.advance(0)
    expect([bulkhead.running, bulkhead.waiting, order]).toEqual([2, 2, [0, 1]])
    await clock.advance(20)
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    await expect(calls[4]).rejects.toMatchObject({ code: 'TM_RESILIENCE_BULKHEAD_FULL', httpStatus: 503 })
    expect([bulkhead.running, bulkhead.waiting, order]).toEqual([0, 0, [0, 1, 2, 3]])
  })

  it('lets go of who waits no longer', async () => {
    const clock = createFakeClock()
    const bulkhead = createBulkhead({ service: 'crm', maxConcurrent: 1, maxWaiting: 5 })
    const running = bulkhead.run(() => clock.sleep(10))
    const controller = new AbortController()
    const waiting = bulkhead.run(async () => expect.unreachable(), { signal: controller.signal })
    controller.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    await clock.advance(10)
    await running
    expect([bulkhead.running, bulkhead.waiting]).toEqual([0, 0])
  })

  it('never has more at once than it may, and loses no place, whatever ends how', async () => {
    const call = fc.record({
      ms: fc.integer({ min: 0, max: 20 }),
      fails: fc.boolean(),
      aborts: fc.option(fc.integer({ min: 0, max: 20 })),
    })
    const property = fc.asyncProperty(
      fc.array(call, { maxLength: 25 }),
      fc.integer({ min: 1, max: 4 }),
      async (calls, maxConcurrent) => {
        const clock = createFakeClock()
        const bulkhead = createBulkhead({ service: 'x', maxConcurrent, maxWaiting: 100 })
        let atOnce = 0
        const all = calls.map(({ ms, fails, aborts }) => {
          const controller = new AbortController()
          if (aborts !== null) void clock.sleep(aborts).then(() => controller.abort(new Error('gone')))
          const run = async (): Promise<void> => {
            atOnce += 1
            expect(atOnce).toBeLessThanOrEqual(maxConcurrent)
            await clock.sleep(ms)
            atOnce -= 1
            if (fails) throw new Error('failed')
          }
          return bulkhead.run(run, { signal: controller.signal })
        })
        const outcomes = settled(all)
        await clock.advance(1000)
        await outcomes
        expect([bulkhead.running, bulkhead.waiting, atOnce]).toEqual([0, 0, 0])
      },
    )
    await fc.assert(property, propertyRuns(25))
  })
})

describe('a guard', () => {
  it('asks the breaker before it takes or waits for anything, and makes each attempt in its time', async () => {
    const clock = createFakeClock()
    const breaker = createBreaker({ service: 'crm', failureThreshold: 2, clock })
    const limiter = createLimiter({ name: 'crm', limit: 10, windowMs: 60_000, clock })
    const bulkhead = createBulkhead({ service: 'crm', maxConcurrent: 1 })
    const guard = createGuard('crm', { breaker, limiter, bulkhead })
    for (let n = 0; n < 2; n++) await guard.run(sick).catch(() => {})
    await expect(guard.run(sick)).rejects.toMatchObject({ code: 'TM_RESILIENCE_BREAKER_OPEN' })
    expect(limiter.counts.allowed).toBe(2)
    expect(bulkhead.running).toBe(0)
  })

  it('gives an attempt so much time, and the breaker hears of it', async () => {
    const breaker = createBreaker({ service: 'crm', consecutiveTimeouts: 1 })
    const guard = createGuard('crm', { breaker, timeoutMs: 10 })
    const hangs = (signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    await expect(guard.run(hangs)).rejects.toMatchObject({ code: 'TM_TIME_TIMEOUT' })
    expect(breaker.read()).toMatchObject({ state: 'OPEN', evidence: { timeouts: 1 } })
  })

  it('waits for its limit where the deadline allows it, and makes what must not be made twice once', async () => {
    const clock = createFakeClock()
    const limiter = createLimiter({ name: 'crm', limit: 1, windowMs: 1000, clock })
    const guard = createGuard('crm', { limiter, retry: { clock, deadlineMs: 5000, random: () => 0 } })
    await guard.run(async () => 1)
    const second = guard.run(async () => 2)
    await clock.advance(1000)
    expect(await second).toBe(2)
    let attempts = 0
    const failing = guard.run(
      async () => {
        attempts += 1
        return sick()
      },
      { once: true },
    )
    await expect(failing).rejects.toMatchObject({ code: 'TM_RESILIENCE_RATE_LIMITED' })
    expect(attempts).toBe(0)
  })
})
