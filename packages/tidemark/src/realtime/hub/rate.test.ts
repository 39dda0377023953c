import { expect, test } from 'vitest'
import { Rate } from './rate.js'

test('allows so many at once, and as many again as time passes', () => {
  const rate = new Rate(5, 1000)
  const take = (nowMs: number) => Array.from({ length: 10 }, () => rate.take(nowMs)).filter(Boolean).length
  expect(take(0)).toBe(5)
  expect(take(100)).toBe(0)
  expect(take(400)).toBe(2)
  expect(take(60_000)).toBe(5)
})
