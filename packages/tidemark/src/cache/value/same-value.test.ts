import { describe, expect, it } from 'vitest'
import { sameValue } from './same-value.js'
import { freezeDeep } from './value.js'

const make = () => ({
  at: new Date(5),
  big: 12n,
  bytes: new Uint8Array([1, 2]),
  map: new Map<unknown, unknown>([['a', [1, null, Number.NaN]]]),
  set: new Set([1, 2]),
  none: undefined,
  rows: [{ id: 1, name: 'x' }],
})

describe('two values are the same', () => {
  it('where they hold the same, frozen or not', () => {
    const frozen = make()
    freezeDeep(frozen)
    expect(sameValue(frozen, make())).toBe(true)
    expect(sameValue(Object.assign(Object.create(null), { a: 1 }), { a: 1 })).toBe(true)
    expect(sameValue(Buffer.from([1]), new Uint8Array([1]))).toBe(true)
    expect(sameValue(null, null)).toBe(true)
  })

  it.each([
    [1, '1'],
    [1n, 1],
    [null, undefined],
    [0, -0],
    [new Date(1), new Date(2)],
    [new Date(1), 1],
    [{}, []],
    [{ a: 1 }, { b: 1 }],
    [{ a: 1 }, { a: 1, b: undefined }],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 2]],
    [new Map([['a', 1]]), new Map([['a', 2]])],
    [new Set([1]), new Set([2])],
    [new Set(), new Map()],
    [new Uint8Array([1]), new Uint8Array([2])],
    [{ a: { b: [{ c: new Date(1) }] } }, { a: { b: [{ c: new Date(2) }] } }],
  ])('not %o and %o', (one, other) => {
    expect(sameValue(one, other)).toBe(false)
    expect(sameValue(other, one)).toBe(false)
  })

  it('however deep they are', () => {
    const deep = () => {
      let value: unknown = 1
      for (let i = 0; i < 100_000; i++) value = [value]
      return value
    }
    expect(sameValue(deep(), deep())).toBe(true)
  })
})
