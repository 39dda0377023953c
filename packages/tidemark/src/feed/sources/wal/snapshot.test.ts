import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isVisible, parseSnapshot, widenXid } from './snapshot.js'

describe('a snapshot', () => {
  it('S10 tells who can be seen', () => {
    const snapshot = parseSnapshot('100:110:102,105')
    expect([99n, 100n, 102n, 103n, 105n, 109n, 110n, 200n].map((xid) => isVisible(xid, snapshot))).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
      false,
      false,
    ])
    expect(parseSnapshot('7:7:').inProgress.size).toBe(0)
    expect(parseSnapshot('18446744073709551614:18446744073709551615:').xmax).toBe(18446744073709551615n)
  })

  it.each(['', '1:2', 'a:b:', '1:2:3,', '1:2:3;4'])('refuses %j', (text) => {
    expect(() => parseSnapshot(text)).toThrowError(expect.objectContaining({ code: 'TM_FEED_PROTOCOL' }))
  })
})

describe('an id of 32 bits', () => {
  it('S10 is widened to the one nearest to the present', () => {
    const cycle = 2n ** 32n
    expect(widenXid(5, 10n)).toBe(5n)
    expect(widenXid(15, 10n)).toBe(15n)
    // Shortly before and after the counter went round.
    expect(widenXid(4_294_967_290, 3n * cycle + 4n)).toBe(3n * cycle - 6n)
    expect(widenXid(4, 3n * cycle - 6n)).toBe(3n * cycle + 4n)
    expect(widenXid(4_294_967_290, 100n)).toBe(4_294_967_290n)
  })

  it('S10 comes back as it was for every id within two billion of the present', () => {
    const near = fc.bigInt(2n ** 31n, 2n ** 63n)
    const distance = fc.bigInt(-(2n ** 31n) + 1n, 2n ** 31n - 1n)
    fc.assert(
      fc.property(near, distance, (present, away) => {
        const xid = present + away
        expect(widenXid(Number(xid & 0xffffffffn), present)).toBe(xid)
      }),
    )
  })
})
