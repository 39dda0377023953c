import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { companionKeys } from './companion-keys.js'

/** What a cluster hashes of a key, as its specification has it. */
const hashedPart = (key: string): string => {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key
}

const anyKey = fc.string({ minLength: 1, unit: fc.constantFrom('a', 'b', ':', '{', '}', 'lease', 'fence') })

describe('The keys beside a key', () => {
  it('are the documented ones', () => {
    expect(companionKeys('chat:messages:7')).toEqual({ lease: '{chat:messages:7}:lease', fence: '{chat:messages:7}:fence' })
  })

  it('hash as the key does', () => {
    const spared = anyKey.filter((key) => hashedPart(key) !== key || !key.includes('}'))
    fc.assert(
      fc.property(spared, (key) => {
        const { lease, fence } = companionKeys(key)
        expect([hashedPart(lease), hashedPart(fence)]).toEqual([hashedPart(key), hashedPart(key)])
      }),
    )
  })

  it('are never those of another key, nor a key that an entry makes of what its callers give', () => {
    fc.assert(
      fc.property(anyKey, anyKey, (one, other) => {
        const names = (key: string) => Object.values(companionKeys(key))
        const all = one === other ? names(one) : [...names(one), ...names(other)]
        expect(new Set(all).size).toBe(all.length)
        for (const name of all) expect(name.startsWith('chat:')).toBe(false)
      }),
    )
  })
})
