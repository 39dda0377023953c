import { expect, test } from 'vitest'
import { systemClock } from './clock.js'

test.each([2 ** 31, 1e12, Number.POSITIVE_INFINITY])('what is to last %d ms does not end at once', async (ms) => {
  const end = new AbortController()
  const long = systemClock.sleep(ms, end.signal).then(
    () => 'ended',
    (reason: unknown) => reason,
  )
  expect(await Promise.race([long, systemClock.sleep(20)])).toBeUndefined()
  end.abort('enough')
  expect(await long).toBe('enough')
})
