import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import { withTimeout } from './with-timeout.js'

describe('withTimeout', () => {
  it('gives the outcome of work that is in time, and leaves no timer behind', async () => {
    const clock = createFakeClock()
    expect(await withTimeout(async () => 7, { timeoutMs: 10, clock })).toBe(7)
    await expect(withTimeout(() => Promise.reject(new Error('no')), { timeoutMs: 10, clock })).rejects.toThrow('no')
    expect(clock.sleeping).toBe(0)
  })

  it('raises at the time-out and aborts the work, heeded or not', async () => {
    const clock = createFakeClock()
    let inner: AbortSignal | undefined
    const hanging = withTimeout(
      (signal) => {
        inner = signal
        return new Promise(() => {})
      },
      { timeoutMs: 250, what: 'The read', clock },
    )
    const checked = expect(hanging).rejects.toMatchObject({
      code: 'TM_TIME_TIMEOUT',
      message: 'The read did not finish within 250 ms.',
    })
    await clock.advance(249)
    expect(inner?.aborted).toBe(false)
    await clock.advance(1)
    await checked
    expect(inner?.reason).toMatchObject({ code: 'TM_TIME_TIMEOUT' })
  })

  it('passes an abort of the outer signal on, and stops listening to it afterwards', async () => {
    const clock = createFakeClock()
    const outer = new AbortController()
    const hanging = withTimeout(() => new Promise(() => {}), { timeoutMs: 10, signal: outer.signal, clock })
    outer.abort(new Error('shutting down'))
    await expect(hanging).rejects.toThrow('shutting down')
    let called = false
    const work = () => {
      called = true
    }
    await expect(withTimeout(work, { timeoutMs: 10, signal: outer.signal, clock })).rejects.toThrow('shutting down')
    expect(called).toBe(false)
  })
})
