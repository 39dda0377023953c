import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../errors.js'
import { createFakeClock } from '../testing/fake-clock.js'
import { isRetryable, parseRetryAfter, type RetryNotice, retry, retryAfterMsOf } from './retry.js'

const unreachable = () => new TidemarkError('TM_REDIS_UNREACHABLE', { target: 'redis://x', reason: 'refused' })
const refused = () => new TidemarkError('TM_REDIS_COMMAND', { reason: 'WRONGTYPE' })
const limited = (retryAfterMs: number) =>
  new TidemarkError('TM_RESILIENCE_RATE_LIMITED', { limit: 1, windowMs: 1000, name: 'x', retryAfterMs })

const failing = (times: number, error: () => unknown = unreachable) => {
  let calls = 0
  return {
    work: async () => {
      calls++
      if (calls <= times) throw error()
      return calls
    },
    get calls() {
      return calls
    },
  }
}

describe('retry', () => {
  it('R74: tries again after full jitter until the call succeeds', async () => {
    const clock = createFakeClock()
    const notices: RetryNotice[] = []
    const outcome = retry(failing(3).work, { clock, random: () => 0.5, baseMs: 100, maxMs: 300, onRetry: (n) => notices.push(n) })
    await clock.advance(10_000)
    expect(await outcome).toBe(4)
    expect(notices.map(({ attempt, delayMs }) => [attempt, delayMs])).toEqual([
      [1, 50],
      [2, 100],
      [3, 150],
    ])
  })

  it('gives up after the last attempt with the last error', async () => {
    const clock = createFakeClock()
    const tries = failing(9)
    const outcome = retry(tries.work, { clock, attempts: 3 })
    const checked = expect(outcome).rejects.toMatchObject({ code: 'TM_REDIS_UNREACHABLE' })
    await clock.advance(100_000)
    await checked
    expect(tries.calls).toBe(3)
    expect(clock.sleeping).toBe(0)
  })

  it('does not repeat what the error calls useless, nor what it does not know', async () => {
    for (const error of [refused, () => new TypeError('a defect')]) {
      const tries = failing(1, error)
      await expect(retry(tries.work)).rejects.toThrow()
      expect(tries.calls).toBe(1)
    }
    expect(isRetryable(unreachable())).toBe(true)
  })

  it('waits at least as long as the error asks', async () => {
    const clock = createFakeClock()
    const delays: number[] = []
    const outcome = retry(failing(1, () => limited(5000)).work, {
      clock,
      random: () => 0,
      onRetry: (n) => delays.push(n.delayMs),
    })
    await clock.advance(5000)
    expect(await outcome).toBe(2)
    expect(delays).toEqual([5000])
    expect(retryAfterMsOf(Object.assign(new Error('429'), { retryAfterMs: 70 }))).toBe(70)
    expect([retryAfterMsOf('text'), retryAfterMsOf(refused()), retryAfterMsOf(undefined)]).toEqual([0, 0, 0])
  })

  it('raises the error at once where the pause would pass the deadline', async () => {
    const clock = createFakeClock()
    const outcome = retry(failing(1, () => limited(5000)).work, { clock, deadlineMs: 4000 })
    await expect(outcome).rejects.toMatchObject({ code: 'TM_RESILIENCE_RATE_LIMITED' })
    expect(clock.monotonicMs()).toBe(0)
    expect(clock.sleeping).toBe(0)
  })

  it('ends an attempt that hangs at the deadline, and names the last error as the cause', async () => {
    const clock = createFakeClock()
    let inner: AbortSignal | undefined
    const first = unreachable()
    const outcome = retry(
      async ({ number, signal }) => {
        inner = signal
        if (number === 1) throw first
        return new Promise(() => {})
      },
      { clock, deadlineMs: 1000, random: () => 0.1, what: 'The login' },
    )
    const checked = expect(outcome).rejects.toMatchObject({
      code: 'TM_TIME_TIMEOUT',
      cause: first,
      message: expect.stringContaining('The login'),
    })
    await clock.advance(1000)
    await checked
    expect(inner?.aborted).toBe(true)
  })

  it('ends with the reason of the signal, during a pause as well as during an attempt', async () => {
    const clock = createFakeClock()
    const pausing = new AbortController()
    const inPause = retry(failing(9).work, { clock, signal: pausing.signal, random: () => 0.9 })
    const checked = expect(inPause).rejects.toThrow('stop')
    await clock.advance(1)
    pausing.abort(new Error('stop'))
    await checked

    const trying = new AbortController()
    const inAttempt = retry(
      async () => {
        trying.abort(new Error('stop'))
        throw unreachable()
      },
      { clock, signal: trying.signal },
    )
    await expect(inAttempt).rejects.toThrow('stop')
    await expect(retry(failing(0).work, { signal: trying.signal })).rejects.toThrow('stop')
  })

  it('never pauses longer than the bound of its attempt, whatever chance says', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 60_000 }),
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1 }),
      async (attempts, baseMs, maxMs, chances) => {
        const clock = createFakeClock()
        const notices: RetryNotice[] = []
        let drawn = 0
        const random = () => chances[drawn++ % chances.length]!
        const tries = failing(99)
        const outcome = retry(tries.work, { clock, attempts, baseMs, maxMs, random, onRetry: (n) => notices.push(n) })
        outcome.catch(() => {})
        await clock.advance(attempts * maxMs)
        await expect(outcome).rejects.toThrow()
        expect(tries.calls).toBe(attempts)
        for (const { attempt, delayMs } of notices) {
          expect(delayMs).toBeLessThanOrEqual(Math.min(maxMs, baseMs * 2 ** (attempt - 1)))
        }
      },
    )
    await fc.assert(property, { numRuns: 40 })
  })

  it('refuses options that make no sense', async () => {
    for (const options of [{ attempts: 0 }, { baseMs: -1 }, { maxMs: Number.NaN }, { deadlineMs: 0 }]) {
      await expect(retry(async () => 1, options)).rejects.toMatchObject({ code: 'TM_RESILIENCE_BAD_OPTION' })
    }
  })
})

describe('Retry-After', () => {
  it('reads seconds and dates, and nothing else', () => {
    const clock = createFakeClock(Date.UTC(2024, 0, 1))
    expect(parseRetryAfter(' 120 ', clock)).toBe(120_000)
    expect(parseRetryAfter('Mon, 01 Jan 2024 00:00:05 GMT', clock)).toBe(5000)
    expect(parseRetryAfter('Sun, 31 Dec 2023 00:00:00 GMT', clock)).toBe(0)
    expect(parseRetryAfter('soon', clock)).toBeUndefined()
    expect(parseRetryAfter('-5', clock)).toBeUndefined()
  })
})
