import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { LagMeter } from './lag-meter.js'

describe('the lag meter', () => {
  it('tells how old the oldest change is that is not applied', async () => {
    const clock = createFakeClock()
    const meter = new LagMeter(clock, 5n)
    meter.see(5n)
    expect(meter.lag).toEqual({ behind: 0, behindMs: 0 })
    await clock.advance(100)
    meter.see(8n)
    // Seen just now, but made at any time since the look before.
    expect(meter.lag).toEqual({ behind: 3, behindMs: 100 })
    await clock.advance(50)
    meter.see(20n)
    meter.applied(8n)
    expect(meter.lag).toEqual({ behind: 12, behindMs: 50 })
    await clock.advance(10)
    expect(meter.lag).toEqual({ behind: 12, behindMs: 60 })
    meter.applied(20n)
    expect(meter.lag).toEqual({ behind: 0, behindMs: 0 })
  })

  it('keeps to a bounded number of samples, and never says too little', async () => {
    const clock = createFakeClock()
    const meter = new LagMeter(clock, 0n)
    for (let head = 1n; head <= 3000n; head++) {
      await clock.advance(1)
      meter.see(head)
    }
    expect(meter.lag).toEqual({ behind: 3000, behindMs: 3000 })
    meter.applied(1500n)
    expect(meter.lag.behindMs).toBeGreaterThanOrEqual(1500)
    expect(meter.lag.behindMs).toBeLessThan(2100)
  })
})
