import { expect, it } from 'vitest'
import { createRequestTimes } from './request-times.js'

it('R25: of the times of requests, tells what 95 of 100 did not exceed since the last look', () => {
  const times = createRequestTimes(200)
  expect(times.takeP95()).toBeNull()
  for (let ms = 100; ms >= 1; ms--) times.add(ms)
  expect(times.takeP95()).toBe(95)
  expect(times.takeP95()).toBeNull()
  times.add(7)
  for (let n = 0; n < 300; n++) times.add(n < 199 ? 1 : 1000)
  expect(times.takeP95()).toBe(1)
})
