import { describe, expect, it } from 'vitest'
import { createFakeClock } from '../testing/fake-clock.js'
import { Deadlines } from './deadlines.js'

describe('deadlines', () => {
  it('are over in their order, each after its time, and not when they were taken back', async () => {
    const clock = createFakeClock()
    const deadlines = new Deadlines(clock, 1000)
    const over: string[] = []
    const begin = (name: string) => deadlines.begin(() => over.push(name))
    begin('a')
    await clock.advance(600)
    const takeBack = begin('b')
    begin('c')
    await clock.advance(399)
    expect(over).toEqual([])
    await clock.advance(1)
    expect(over).toEqual(['a'])
    takeBack()
    await clock.advance(600)
    expect(over).toEqual(['a', 'c'])
  })

  it('begin anew after all have ended, with one timer however many there are', async () => {
    const clock = createFakeClock()
    const deadlines = new Deadlines(clock, 100)
    for (let round = 1; round <= 2; round++) {
      let over = 0
      for (let n = 0; n < 50; n++) deadlines.begin(() => over++)
      expect(clock.sleeping).toBe(1)
      await clock.advance(100)
      expect([over, clock.sleeping]).toEqual([50, 0])
    }
  })

  it('never end where there is none', async () => {
    const clock = createFakeClock()
    new Deadlines(clock, Number.POSITIVE_INFINITY).begin(() => expect.unreachable())
    await clock.advance(1e9)
    expect(clock.sleeping).toBe(0)
  })
})
