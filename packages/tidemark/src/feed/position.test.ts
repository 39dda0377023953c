import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { comparePositions, formatLsn, formatPosition, isSameEpoch, type Position, parseLsn, parsePosition } from './position.js'

const largest = 2n ** 64n - 1n
const edges = [0n, 1n, 0xffn, 0x100n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, largest]
/** Whole bytes and their borders are where an order of bytes goes wrong. */
const number = fc.oneof(fc.bigInt({ min: 0n, max: largest }), fc.bigInt({ min: 0n, max: 70_000n }), fc.constantFrom(...edges))
const epoch = fc.oneof(fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,40}$/), fc.constantFrom('0', 'wal-1-2', 'a'.repeat(200)))
const position: fc.Arbitrary<Position> = fc.record({ epoch, number })

const refused = (text: string) => expect.objectContaining({ code: 'TM_FEED_POSITION', parameters: { text } }) as unknown

describe('a position', () => {
  it('comes back from its text as it was', () => {
    fc.assert(
      fc.property(position, (given) => {
        expect(parsePosition(formatPosition(given))).toEqual(given)
      }),
    )
  })

  it('may name a transaction in its text, which is no part of the order', () => {
    fc.assert(
      fc.property(position, number, (given, xid) => {
        expect(parsePosition(formatPosition({ ...given, xid }))).toEqual({ ...given, xid })
        expect(comparePositions({ ...given, xid }, given)).toBe(0)
      }),
    )
    expect(formatPosition({ epoch: 'wal-1', number: 255n, xid: 16n })).toBe('wal-1:ff:10')
  })

  it('FEED-1: is ordered by its number', () => {
    fc.assert(
      fc.property(epoch, number, number, (epoch, a, b) => {
        const order = a === b ? 0 : a < b ? -1 : 1
        expect(comparePositions({ epoch, number: a }, { epoch, number: b })).toBe(order)
      }),
    )
  })

  it('FEED-1: has another text than every other position', () => {
    fc.assert(
      fc.property(position, position, (a, b) => {
        const isSame = a.epoch === b.epoch && a.number === b.number
        expect(formatPosition(a) === formatPosition(b)).toBe(isSame)
      }),
    )
  })

  it('has no order with one of another history', () => {
    fc.assert(
      fc.property(position, position, (a, b) => {
        fc.pre(a.epoch !== b.epoch)
        expect(isSameEpoch(a, b)).toBe(false)
        expect(() => comparePositions(a, b)).toThrow(
          expect.objectContaining({ code: 'TM_FEED_EPOCH', parameters: { expected: a.epoch, found: b.epoch } }),
        )
      }),
    )
  })

  it('is written down in the forms that files and tables hold', () => {
    const given = { epoch: 'wal-7-1', number: 0x16_b374_d848n }
    expect(formatPosition(given)).toBe('wal-7-1:16b374d848')
    expect(formatPosition({ epoch: '0', number: 0n })).toBe('0:0')
  })
})

describe('text that is no position', () => {
  it.each([
    ['nothing', ''],
    ['no epoch', ':1f'],
    ['no number', 'e:'],
    ['no colon', 'e1f'],
    ['an epoch in capitals', 'E:1f'],
    ['an epoch that begins with a dash', '-e:1f'],
    ['an epoch with another sign', 'e_1:1f'],
    ['an epoch that is too long', `${'e'.repeat(201)}:1`],
    ['three colons', 'e:1:2:3'],
    ['a leading zero', 'e:01'],
    ['hexadecimal in capitals', 'e:1F'],
    ['a number with a sign', 'e:-1'],
    ['a number with its base', 'e:0x1'],
    ['a number of 65 bits', 'e:10000000000000000'],
    ['space before it', ' e:1'],
    ['a line after it', 'e:1\n'],
  ])('is refused: %s', (_what, text) => {
    expect(() => parsePosition(text)).toThrow(refused(text.slice(0, 100)))
  })

  it('is refused whatever it is, unless it is what a position is written as', () => {
    const like = fc.string({ unit: fc.constantFrom('a', 'f', 'g', 'A', '0', '1', '-', ':', ' '), maxLength: 20 })
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), like), (text) => {
        let found: Position
        try {
          found = parsePosition(text)
        } catch (error) {
          expect(error).toEqual(refused(text.slice(0, 100)))
          return
        }
        expect(formatPosition(found)).toBe(text)
      }),
    )
  })
})

describe('an LSN', () => {
  it('comes back from its text as it was', () => {
    fc.assert(fc.property(number, (lsn) => void expect(parseLsn(formatLsn(lsn))).toBe(lsn)))
  })

  it('is written as Postgres writes it', () => {
    expect(formatLsn(0x16_b374_d848n)).toBe('16/B374D848')
    expect(formatLsn(0x1_0000_000an)).toBe('1/A')
    expect(parseLsn('16/b374d848')).toBe(0x16_b374_d848n)
    expect(parseLsn('ffffffff/FFFFFFFF')).toBe(largest)
  })

  it.each(['', '/', '1', '1/', '/1', 'g/1', '1/2/3', '100000000/0', '0/100000000', '-1/0', ' 1/0', '0x1/0'])(
    'is refused: "%s"',
    (text) => {
      expect(() => parseLsn(text)).toThrow(refused(text))
    },
  )
})
