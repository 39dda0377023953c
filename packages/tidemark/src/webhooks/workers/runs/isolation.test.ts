import { describe, expect, test } from 'vitest'
import { createFakeClock } from '../../../testing/fake-clock.js'
import { Isolation } from './isolation.js'

describe('F12: events that may have ended a worker', () => {
  test('run one at a time, beside others', () => {
    const isolation = new Isolation(createFakeClock())
    isolation.begin(0)
    expect(isolation.mayBegin(1)).toBe(true)
    const end = isolation.begin(1)
    expect(isolation.mayBegin(1)).toBe(false)
    expect(isolation.mayBegin(0)).toBe(true)
    end()
    expect(isolation.mayBegin(1)).toBe(true)
  })

  test('begin by themselves once they were the only such event', async () => {
    const clock = createFakeClock()
    const isolation = new Isolation(clock)
    const end = isolation.begin(0)
    expect(isolation.mayBegin(2)).toBe(false)
    // It waits, so nothing else begins.
    expect(isolation.mayBegin(0)).toBe(false)
    expect(isolation.mayBegin(1)).toBe(false)
    end()
    expect(isolation.mayBegin(2)).toBe(true)
    isolation.begin(2)
    expect(isolation.mayBegin(0)).toBe(false)
    await clock.advance(1_000)
    expect(isolation.mayBegin(0)).toBe(true)
  })

  test('hold nothing up for long: neither by waiting for what takes long, nor by being gone', async () => {
    const clock = createFakeClock()
    const isolation = new Isolation(clock)
    isolation.begin(0)
    expect(isolation.mayBegin(2)).toBe(false)
    await clock.advance(1_000)
    expect(isolation.mayBegin(2)).toBe(true)
    await clock.advance(1_000)
    expect(isolation.mayBegin(0)).toBe(true)
  })
})
