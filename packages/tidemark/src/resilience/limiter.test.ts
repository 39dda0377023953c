import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import { createLimiter } from './limiter.js'
import { createMemoryLimiterStore } from './memory-limiter-store.js'

describe('the limiter', () => {
  it('C6: of 150 calls at once under a limit of 100, exactly 100 pass', async () => {
    const limiter = createLimiter({ name: 'crm', limit: 100, windowMs: 3_600_000 })
    const decisions = await Promise.all(Array.from({ length: 150 }, () => limiter.take('tours')))
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(100)
  })

  it('C6: says what remains, when a refused call fits, and when all is free again', async () => {
    const clock = createFakeClock()
    const limiter = createLimiter({ name: 'crm', limit: 3, windowMs: 1000, clock })
    const take = () => limiter.take('tours')
    expect(await take()).toEqual({ allowed: true, limit: 3, remaining: 2, retryAfterMs: 0, resetMs: 1000 })
    await clock.advance(200)
    await take()
    expect(await take()).toEqual({ allowed: true, limit: 3, remaining: 0, retryAfterMs: 0, resetMs: 1000 })
    await clock.advance(300)
    expect(await take()).toEqual({ allowed: false, limit: 3, remaining: 0, retryAfterMs: 500, resetMs: 700 })
    await clock.advance(499)
    expect(await take()).toMatchObject({ allowed: false, retryAfterMs: 1 })
    await clock.advance(1)
    expect(await take()).toMatchObject({ allowed: true, remaining: 0 })
  })

  it('counts a refused call for nothing, and takes several at once or none', async () => {
    const clock = createFakeClock()
    const limiter = createLimiter({ name: 'crm', limit: 5, windowMs: 1000, clock })
    expect(await limiter.take('a', 3)).toMatchObject({ allowed: true, remaining: 2 })
    expect(await limiter.take('a', 3)).toMatchObject({ allowed: false, remaining: 2, retryAfterMs: 1000 })
    expect(await limiter.take('a', 2)).toMatchObject({ allowed: true, remaining: 0 })
    await expect(limiter.take('a', 6)).rejects.toMatchObject({ code: 'TM_RESILIENCE_BAD_OPTION' })
  })

  it('raises an error that names the limit and the wait', async () => {
    const limiter = createLimiter({ name: 'crm:tours', limit: 1, windowMs: 60_000, clock: createFakeClock() })
    await limiter.enforce('a')
    await expect(limiter.enforce('a')).rejects.toMatchObject({
      code: 'TM_RESILIENCE_RATE_LIMITED',
      httpStatus: 429,
      parameters: { limit: 1, windowMs: 60_000, name: 'crm:tours', retryAfterMs: 60_000 },
    })
    expect(await limiter.enforce('b')).toMatchObject({ allowed: true })
  })

  it('keeps rules that share a store apart, and has the documented defaults', async () => {
    const store = createMemoryLimiterStore()
    const minute = createLimiter({ name: 'x', limit: 1, windowMs: 60_000, store })
    const hour = createLimiter({ name: 'x', limit: 2, windowMs: 3_600_000, store })
    await minute.take('k')
    expect((await minute.take('k')).allowed).toBe(false)
    expect((await hour.take('k')).allowed).toBe(true)
    expect(createLimiter({ name: 'x' }).rule).toEqual({ limit: 100, windowMs: 3_600_000 })
  })

  it('keeps a bounded number of keys, forgetting the one that was used longest ago', async () => {
    const store = createMemoryLimiterStore({ maxKeys: 2, clock: createFakeClock() })
    const rule = { limit: 1, windowMs: 1000 }
    const allowed = async (key: string) => (await store.take(key, rule, 1)).allowed
    expect([await allowed('a'), await allowed('b'), await allowed('a')]).toEqual([true, true, false])
    expect(await allowed('c')).toBe(true)
    expect([await allowed('a'), await allowed('b')]).toEqual([false, true])
  })

  it('C6: lets no window of any position hold more than the limit, and refuses nothing that would fit', async () => {
    const call = fc.record({ pauseMs: fc.integer({ min: 0, max: 40 }), cost: fc.integer({ min: 1, max: 3 }) })
    const property = fc.asyncProperty(
      fc.integer({ min: 3, max: 12 }),
      fc.integer({ min: 20, max: 100 }),
      fc.array(call, { maxLength: 80 }),
      async (limit, windowMs, calls) => {
        let now = 0
        const clock = { ...createFakeClock(), monotonicMs: () => now }
        const limiter = createLimiter({ name: 'x', limit, windowMs, clock })
        const passed: number[] = []
        for (const { pauseMs, cost } of calls) {
          now += pauseMs
          const used = passed.filter((at) => at > now - windowMs).length
          const decision = await limiter.take('k', cost)
          expect(decision.allowed).toBe(used + cost <= limit)
          if (decision.allowed) for (let i = 0; i < cost; i++) passed.push(now)
          expect(decision.remaining).toBe(limit - passed.filter((at) => at > now - windowMs).length)
          if (!decision.allowed) {
            const later = now + decision.retryAfterMs
            const usedThen = (at: number) => passed.filter((p) => p > at - windowMs).length
            expect(usedThen(later) + cost).toBeLessThanOrEqual(limit)
            expect(usedThen(later - 1) + cost).toBeGreaterThan(limit)
          }
        }
      },
    )
    await fc.assert(property, { numRuns: 150 })
  })

  it('refuses a rule that makes no sense', () => {
    for (const rule of [{ limit: 0 }, { limit: 1.5 }, { windowMs: 0 }]) {
      expect(() => createLimiter({ name: 'x', ...rule })).toThrow(/is not valid/)
    }
  })
})
