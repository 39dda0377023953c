import { expect, test } from 'vitest'
import { createQuickTypes } from './quick-types.js'

test('quick is what takes few milliseconds, or no longer than the transaction around it', () => {
  const quick = createQuickTypes(10)
  for (let n = 0; n < 20; n++) {
    expect(quick.isQuick('quick')).toBe(false)
    quick.ran('quick', 2)
    quick.ran('slow', 40)
  }
  expect([quick.isQuick('quick'), quick.isQuick('slow')]).toEqual([true, false])
  for (let n = 0; n < 50; n++) quick.spent(45)
  expect([quick.isQuick('quick'), quick.isQuick('slow')]).toEqual([true, true])
  quick.distrust('slow')
  expect(quick.isQuick('slow')).toBe(false)
})
