import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import { propertyRuns } from '../testing/property-runs.js'
import { createMemoryLimiterStore } from './limiter/memory-limiter-store.js'
import { createLimiter, takeAll } from './limiter.js'

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
    const resetAt = clock.now() + 1000
    const common = { limit: 3, windowMs: 1000, by: 'counted' }
    expect(await take()).toMatchObject({ ...common, allowed: true, remaining: 2, retryAfterMs: 0, resetMs: 1000, resetAt })
    await clock.advance(200)
    await take()
    expect(await take()).toMatchObject({ allowed: true, remaining: 0, retryAfterMs: 0, resetMs: 1000 })
    await clock.advance(300)
    expect(await take()).toMatchObject({ allowed: false, remaining: 0, retryAfterMs: 500, resetMs: 700 })
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

  it('R71: keeps rules that share a store apart, and has the documented defaults', async () => {
    const store = createMemoryLimiterStore()
    const minute = createLimiter({ name: 'x', limit: 1, windowMs: 60_000, store })
    const hour = createLimiter({ name: 'x', limit: 2, windowMs: 3_600_000, store })
    await minute.take('k')
    expect((await minute.take('k')).allowed).toBe(false)
    expect((await hour.take('k')).allowed).toBe(true)
    expect(createLimiter({ name: 'x' }).rule).toMatchObject({ limit: 100, windowMs: 3_600_000, algorithm: 'log' })
  })

  it('keeps a bounded number of keys, forgetting the one that was used longest ago', async () => {
    const store = createMemoryLimiterStore({ maxKeys: 2, clock: createFakeClock() })
    const { rule } = createLimiter({ name: 'x', limit: 1, windowMs: 1000 })
    const allowed = async (key: string) => (await store.take({ key, rule, cost: 1 })).allowed
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

  it('decides by several rules at once: all count the call, or none does', async () => {
    const clock = createFakeClock()
    const rules = [
      { limit: 2, windowMs: 1000 },
      { limit: 3, windowMs: 60_000 },
    ]
    const limiter = createLimiter({ name: 'x', rules, clock })
    const take = async () => {
      const { allowed, windowMs, remaining } = await limiter.take('k')
      return { allowed, windowMs, remaining }
    }
    expect(await take()).toEqual({ allowed: true, windowMs: 1000, remaining: 1 })
    expect(await take()).toEqual({ allowed: true, windowMs: 1000, remaining: 0 })
    for (let n = 0; n < 5; n++) expect(await take()).toMatchObject({ allowed: false, windowMs: 1000 })
    await clock.advance(1000)
    expect(await take()).toEqual({ allowed: true, windowMs: 60_000, remaining: 0 })
    expect(await take()).toMatchObject({ allowed: false, windowMs: 60_000 })
    expect(limiter.counts).toMatchObject({ allowed: 3, refused: 6 })
    expect(
      await takeAll([
        { limiter, key: 'new' },
        { limiter, key: 'k' },
      ]),
    ).toMatchObject({ allowed: false })
    expect((await limiter.take('new')).remaining).toBe(1)
  })

  it('rings never hold more than the limit in a window, and give back what was refused', async () => {
    const call = fc.record({ pauseMs: fc.integer({ min: 0, max: 40 }), cost: fc.integer({ min: 1, max: 3 }) })
    const property = fc.asyncProperty(
      fc.integer({ min: 3, max: 12 }),
      fc.array(call, { maxLength: 120 }),
      async (limit, calls) => {
        let now = 0
        const windowMs = 100
        const clock = { ...createFakeClock(), monotonicMs: () => now }
        const limiter = createLimiter({ name: 'x', limit, windowMs, clock, algorithm: 'ring' })
        const passed: number[] = []
        for (const { pauseMs, cost } of calls) {
          now += pauseMs
          const decision = await limiter.take('k', cost)
          const used = (span: number) => passed.filter((at) => at > now - span).length
          if (!decision.allowed) expect(used(windowMs * 1.05) + cost).toBeGreaterThan(limit)
          if (decision.allowed) for (let i = 0; i < cost; i++) passed.push(now)
          expect(used(windowMs)).toBeLessThanOrEqual(limit)
          if (decision.allowed) continue
          now += Math.ceil(decision.retryAfterMs)
          const later = await limiter.take('k', cost)
          expect(later.allowed).toBe(true)
          for (let i = 0; i < cost; i++) passed.push(now)
        }
      },
    )
    await fc.assert(property, propertyRuns(100))
  })

  it('spaces calls evenly after a burst', async () => {
    const clock = createFakeClock()
    const limiter = createLimiter({ name: 'x', limit: 100, windowMs: 1000, algorithm: 'gcra', clock })
    const burst = await Promise.all(Array.from({ length: 20 }, () => limiter.take('k')))
    expect(burst.filter(({ allowed }) => allowed)).toHaveLength(10)
    expect(burst.at(-1)).toMatchObject({ allowed: false, retryAfterMs: 10, remaining: 0 })
    let passed = 0
    for (let ms = 0; ms < 1000; ms++) {
      await clock.advance(1)
      if ((await limiter.take('k')).allowed) passed++
    }
    expect(passed).toBe(100)
  })

  it('refuses a rule that makes no sense', () => {
    for (const rule of [{ limit: 0 }, { limit: 1.5 }, { windowMs: 0 }]) {
      expect(() => createLimiter({ name: 'x', ...rule })).toThrow(/is not valid/)
    }
  })
})
