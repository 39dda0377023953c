import { expect, test } from 'vitest'
import { systemClock } from '../../../time/clock.js'
import { Returns } from './returns.js'

test('RT-2: who goes on behind the number of a channel that was cut off is back', () => {
  const returns = new Returns(systemClock)
  returns.cutOff('name', 4)
  expect(returns.isBack('name', 5, 5)).toBe(true)
  expect(returns.isBack('name', 4, 4)).toBeUndefined()
})

test('RT-2: of a client that counts low nobody says that it is new: a young one was at a server that was killed', () => {
  const returns = new Returns(systemClock)
  expect(returns.isBack('name', 3, 3)).toBeUndefined()
  expect(returns.isBack('name', 3, Number.NaN)).toBeUndefined()
  expect(returns.isBack('name', 60, 51)).toBe(true)
})
