import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../../testing/fake-clock.js'
import { ReplayWindow } from './replay-window.js'

const id = (number: bigint) => ({ number, ordinal: 0n })

describe('the replay window', () => {
  test('S4: lets go only of what is older than the window, and in the end of all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 9000 }), { minLength: 1, maxLength: 40 }), async (pauses) => {
        const clock = createFakeClock()
        const window = new ReplayWindow({ windowMs: 60_000, maxBytes: Infinity, clock })
        const published: { number: bigint; at: number }[] = []
        const youngest = (number: bigint | undefined) =>
          Math.min(
            ...published
              .filter((each) => number !== undefined && each.number <= number)
              .map(({ at }) => clock.monotonicMs() - at),
          )
        for (const [i, pause] of pauses.entries()) {
          const number = BigInt(i + 1)
          window.acknowledged(number, id(number), 10)
          published.push({ number, at: clock.monotonicMs() })
          await clock.advance(pause)
          const { confirmed, trimmed } = window.pass()
          if (confirmed !== undefined) expect(youngest(confirmed)).toBeGreaterThanOrEqual(60_000)
          if (trimmed) expect(youngest(trimmed.number)).toBeGreaterThanOrEqual(60_000)
        }
        await clock.advance(60_000)
        const last = BigInt(pauses.length)
        const { confirmed } = window.pass()
        expect(confirmed === last || confirmed === undefined).toBe(true)
        expect(window.pass().confirmed).toBeUndefined()
      }),
      { numRuns: 50 },
    )
  })

  test('S4: a stream that begins anew confirms nothing of what the lost one had acknowledged', async () => {
    const clock = createFakeClock()
    const window = new ReplayWindow({ windowMs: 1000, maxBytes: 100, clock })
    window.acknowledged(7n, id(7n), 10)
    await clock.advance(900)
    window.clear()
    await clock.advance(900)
    expect(window.pass()).toEqual({ confirmed: undefined, trimmed: undefined })
  })

  test('gives up the oldest entries where bytes are short, and confirms them no sooner', async () => {
    const clock = createFakeClock()
    const window = new ReplayWindow({ windowMs: 60_000, maxBytes: 100, clock })
    for (let number = 1n; number <= 5n; number++) {
      window.acknowledged(number, id(number), 40)
      await clock.advance(2000)
    }
    expect(window.pass()).toEqual({ confirmed: undefined, trimmed: id(3n) })
    expect(window.pass()).toEqual({ confirmed: undefined, trimmed: undefined })
    await clock.advance(60_000)
    expect(window.pass()).toEqual({ confirmed: 5n, trimmed: id(5n) })
  })
})
