import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/fake-clock.js'
import { Confirmations } from './confirmations.js'

describe('confirmations', () => {
  it('S4 count at once without a window, and never go back', () => {
    const confirmations = new Confirmations(5n, 0, createFakeClock())
    expect(confirmations.releasable).toBe(5n)
    confirmations.add(9n)
    confirmations.add(7n)
    expect(confirmations.releasable).toBe(9n)
    expect(confirmations.latest).toBe(9n)
  })

  it('S4 count when their window has passed, each in its turn', async () => {
    const clock = createFakeClock()
    const confirmations = new Confirmations(0n, 1_000, clock)
    confirmations.add(1n)
    await clock.advance(400)
    confirmations.add(2n)
    await clock.advance(599)
    expect(confirmations.releasable).toBe(0n)
    await clock.advance(1)
    expect(confirmations.releasable).toBe(1n)
    await clock.advance(400)
    expect(confirmations.releasable).toBe(2n)
    expect(confirmations.latest).toBe(2n)
  })

  it('S4 never count too early, nor much too late, however many there are', async () => {
    const steps = fc.array(fc.tuple(fc.nat(30), fc.nat(3)), { maxLength: 200 })
    await fc.assert(
      fc.asyncProperty(steps, async (each) => {
        const clock = createFakeClock()
        const confirmations = new Confirmations(0n, 640, clock)
        const added: { lsn: bigint; at: number }[] = []
        let lsn = 0n
        for (const [pause, by] of each) {
          await clock.advance(pause)
          lsn += BigInt(by)
          if (by > 0) added.push({ lsn, at: clock.monotonicMs() })
          confirmations.add(lsn)
          const now = clock.monotonicMs()
          const strictly = added.findLast(({ at }) => at <= now - 640)?.lsn ?? 0n
          const loosely = added.findLast(({ at }) => at <= now - 660)?.lsn ?? 0n
          expect(confirmations.releasable).toBeLessThanOrEqual(strictly)
          expect(confirmations.releasable).toBeGreaterThanOrEqual(loosely)
        }
      }),
      { numRuns: 50 },
    )
  })
})
