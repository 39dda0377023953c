import { expect, it } from 'vitest'
import { tryMutatedSignatures } from '../testing/mutated-signatures.js'

it('R128: believes none of 10,000 changed signatures (T9; a million: npm run chaos:signatures)', async () => {
  const report = await tryMutatedSignatures(10_000, Date.now() % 2 ** 31)
  expect(report.controls).toEqual([true, true, true, true, true])
  expect(report.accepted).toEqual([])
})
