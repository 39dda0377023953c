import { describe, expect, it } from 'vitest'
import { Voids } from './voids.js'

describe('what is void', () => {
  it('was loaded before its tag, or all, were evicted', () => {
    const voids = new Voids()
    voids.voidTag('a', 5n)
    expect([voids.isVoid(4n, ['a']), voids.isVoid(5n, ['a']), voids.isVoid(4n, ['b']), voids.isVoid(4n, [])]).toEqual([
      true,
      false,
      false,
      false,
    ])
    voids.voidAll(7n)
    expect([voids.isVoid(6n, []), voids.isVoid(7n, ['a'])]).toEqual([true, false])
    voids.voidAll(3n)
    expect(voids.isVoid(6n, [])).toBe(true)
  })

  it('stays so when more tags come than are remembered', () => {
    const voids = new Voids()
    for (let n = 1n; n <= 30_000n; n++) voids.voidTag(`t${n}`, n)
    for (const n of [1n, 19_999n, 20_001n, 30_000n]) expect(voids.isVoid(n - 1n, [`t${n}`])).toBe(true)
    expect([voids.isVoid(30_000n, ['t1']), voids.isVoid(1n, [])]).toEqual([false, false])
  })

  it('begins anew with another history', () => {
    const voids = new Voids()
    voids.voidTag('a', 100n)
    voids.voidAll(90n)
    voids.restart(3n)
    expect([voids.isVoid(2n, []), voids.isVoid(3n, ['a'])]).toEqual([true, false])
  })
})
