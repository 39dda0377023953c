import { describe, expect, it } from 'vitest'
import { createFakeClock } from './fake-clock.js'

describe('the fake clock', () => {
  it('wakes sleepers at their own moments, in order, the ones that slept again included', async () => {
    const clock = createFakeClock(0)
    const woken: [string, number][] = []
    const sleeper = async (name: string, ...naps: number[]) => {
      for (const ms of naps) {
        await clock.sleep(ms)
        woken.push([name, clock.monotonicMs()])
      }
    }
    const all = [sleeper('long', 100), sleeper('short', 30, 30, 30)]
    await clock.advance(70)
    expect(woken).toEqual([
      ['short', 30],
      ['short', 60],
    ])
    expect(clock.sleeping).toBe(2)
    await clock.advance(30)
    await Promise.all(all)
    expect(woken.slice(2)).toEqual([
      ['short', 90],
      ['long', 100],
    ])
    expect(clock.now()).toBe(100)
  })

  it('ends a sleep with the reason of its signal, and forgets the sleeper', async () => {
    const clock = createFakeClock()
    const controller = new AbortController()
    const sleep = clock.sleep(1000, controller.signal)
    controller.abort(new Error('enough'))
    await expect(sleep).rejects.toThrow('enough')
    await expect(clock.sleep(1, controller.signal)).rejects.toThrow('enough')
    expect(clock.sleeping).toBe(0)
  })

  it('shifts the wall time without waking anyone', async () => {
    const clock = createFakeClock(1000)
    const sleep = clock.sleep(10)
    clock.shiftWall(-500)
    expect([clock.now(), clock.monotonicMs(), clock.sleeping]).toEqual([500, 0, 1])
    await clock.advance(10)
    await sleep
  })
})
