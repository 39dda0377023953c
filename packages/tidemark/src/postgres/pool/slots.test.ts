import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { Slots } from './slots.js'

const closed = () => new Error('closed')
const late = () => new Error('late')
const newSlots = (max: number) => {
  const clock = createFakeClock()
  return { clock, slots: new Slots({ max, timeoutMs: 100, onTimeout: late, clock }) }
}
const take = (slots: Slots, signal?: AbortSignal) => slots.take(signal)
/** Settled, or still waiting, as a word. */
const outcome = (promise: Promise<void>) =>
  Promise.race([
    promise.then(
      () => 'taken',
      (error: Error) => error.message,
    ),
    new Promise<string>((resolve) => setImmediate(() => resolve('waiting'))),
  ])

describe('slots', () => {
  it('are taken up to their number, then waited for in order', async () => {
    const { slots } = newSlots(2)
    await take(slots)
    await take(slots)
    const [third, fourth] = [take(slots), take(slots)]
    expect([await outcome(third), slots.waiting, slots.taken]).toEqual(['waiting', 2, 2])
    slots.give()
    expect([await outcome(third), await outcome(fourth)]).toEqual(['taken', 'waiting'])
    expect(slots.tryTake()).toBe(false)
    slots.give()
    expect([await outcome(fourth), slots.waiting, slots.taken]).toEqual(['taken', 0, 2])
  })

  it('are waited for no longer than asked, and one who gave up is not served', async () => {
    const { slots, clock } = newSlots(1)
    await take(slots)
    const second = outcome(take(slots).catch((error: Error) => Promise.reject(error)))
    await second
    const waiting = take(slots)
    waiting.catch(() => undefined)
    await clock.advance(100)
    expect(await outcome(waiting)).toBe('late')
    slots.give()
    expect([slots.taken, slots.waiting]).toEqual([0, 0])
  })

  it('are not waited for after an abort', async () => {
    const { slots } = newSlots(1)
    await take(slots)
    const abort = new AbortController()
    const waiting = take(slots, abort.signal)
    abort.abort(new Error('enough'))
    expect(await outcome(waiting)).toBe('enough')
    await expect(take(slots, abort.signal)).rejects.toThrow('enough')
    expect(slots.waiting).toBe(0)
  })

  it('refuse everybody once closed, and tell when the last is back', async () => {
    const { slots } = newSlots(1)
    await take(slots)
    const waiting = take(slots)
    slots.close(closed)
    expect(await outcome(waiting)).toBe('closed')
    await expect(take(slots)).rejects.toThrow('closed')
    const idle = slots.whenIdle()
    expect(await outcome(idle)).toBe('waiting')
    slots.give()
    expect(await outcome(idle)).toBe('taken')
    await slots.whenIdle()
  })

  it('are never more than their number, whatever the order of events, and none gets lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom('take', 'give', 'abort', 'wait'), { maxLength: 60 }),
        async (max, steps) => {
          const { slots, clock } = newSlots(max)
          const aborts: AbortController[] = []
          let held = 0
          for (const step of steps) {
            if (step === 'take') {
              const abort = new AbortController()
              aborts.push(abort)
              void take(slots, abort.signal).then(
                () => {
                  held += 1
                },
                () => undefined,
              )
            }
            if (step === 'give' && held > 0) {
              held -= 1
              slots.give()
            }
            if (step === 'abort') aborts.shift()?.abort()
            if (step === 'wait') await clock.advance(60)
            await new Promise((resolve) => setImmediate(resolve))
            expect(slots.taken).toBe(held)
            expect(held).toBeLessThanOrEqual(max)
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
