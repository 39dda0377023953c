import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../errors.js'
import { type FailedCallOptions, failedCall } from './failed-call.js'
import { CallError } from './http-service.js'

const of = (error: unknown, options: Partial<FailedCallOptions> = {}) =>
  failedCall(error, { failures: 0, isLast: false, baseMs: 100, maxMs: 1_000, otherwise: 'It failed.', ...options })

describe('a call that failed', () => {
  it('is made again after a pause that doubles, up to a most, less a random part', () => {
    for (const [failures, mostMs] of [
      [0, 100],
      [2, 400],
      [9, 1_000],
    ] as const) {
      const { end, waitMs } = of(new CallError('SICK', 'crm answered with 503.'), { failures })
      expect(end).toBe('retrying')
      expect(waitMs).toBeGreaterThanOrEqual(mostMs / 2)
      expect(waitMs).toBeLessThanOrEqual(mostMs)
    }
  })

  it('waits as long as the other side asks', () => {
    expect(of(new CallError('THROTTLED', 'Too many.', { retryAfterMs: 5_000 })).waitMs).toBe(5_000)
  })

  it('has failed where it was refused for good, or was tried often enough', () => {
    expect(of(new CallError('REFUSED', 'crm answered with 400.'))).toMatchObject({
      end: 'failed',
      error: 'crm answered with 400.',
    })
    expect(of(new CallError('SICK', 'x'), { isLast: true }).end).toBe('failed')
  })

  it('that was not made is put off, even at the last attempt', () => {
    const open = new TidemarkError('TM_RESILIENCE_BREAKER_OPEN', { service: 'crm', retryAfterMs: 3_000 })
    expect(of(open, { isLast: true })).toMatchObject({ end: 'put off', waitMs: 3_000 })
  })

  it('SEC-2: tells nothing of errors that it does not know', () => {
    expect(of(new Error('postgres://u:secret@host')).error).toBe('It failed.')
  })
})
