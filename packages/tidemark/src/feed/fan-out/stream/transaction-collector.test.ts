import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scriptedRelation } from '../../../testing/feed/scripted-log.js'
import type { Change, Relation, TransactionPiece } from '../../feed.js'
import { compareIds, type EntryId, endOf, formatId, parseId, zeroId } from './entry-id.js'
import { PieceDecoder } from './piece-decoder.js'
import { type StreamEntry, TransactionCollector } from './transaction-collector.js'

const epoch = 'wal-1'
const limits = { maxChanges: 50, maxBytes: 1_000_000, maxEntryBytes: 120 }

const insert = (id: number, relation: Relation = scriptedRelation): Change => ({
  kind: 'insert',
  relation,
  old: null,
  new: [String(id), 'x'.repeat(id % 17)],
})

/** A transaction in pieces of the given sizes. */
const piecesOf = (number: bigint, sizes: readonly number[], first = 0): TransactionPiece[] => {
  let at = 0
  return sizes.map((size, index) => {
    const firstOrdinal = at
    at += size
    return {
      type: 'transaction',
      position: { epoch, number },
      xid: number,
      committedAt: new Date(1000),
      firstOrdinal,
      changes: Array.from({ length: size }, (_, i) => insert(first + firstOrdinal + i)),
      last: index === sizes.length - 1,
    }
  })
}

const decoded = (entries: readonly StreamEntry[]) => {
  const decoder = new PieceDecoder()
  return entries.map(({ id, body }) => ({ id, piece: decoder.decode(Buffer.from(body), { epoch, number: id.number }) }))
}

const collect = (pieces: readonly TransactionPiece[], top = { id: zeroId, last: true }) => {
  const collector = new TransactionCollector(limits, top)
  return pieces.flatMap((piece) => collector.add(piece).map(({ id, body }) => ({ id, body: Buffer.from(body) })))
}

const ordinals = (entries: readonly StreamEntry[]) =>
  decoded(entries).flatMap(({ id, piece }) => piece.changes.map((_, i) => `${id.number}/${piece.firstOrdinal + i}`))

const history = fc.array(fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 6,
})
const transactions = (sizes: readonly (readonly number[])[]) => sizes.flatMap((each, i) => piecesOf(BigInt(100 * (i + 1)), each))

describe('entries of pieces', () => {
  test('hold every change once, in order, under ids that rise to the last ordinal', () => {
    fc.assert(
      fc.property(history, (sizes) => {
        const pieces = transactions(sizes)
        const entries = collect(pieces)
        expect(ordinals(entries)).toEqual(
          pieces.flatMap(({ position, firstOrdinal, changes }) =>
            changes.map((_, i) => `${position.number}/${firstOrdinal + i}`),
          ),
        )
        for (const [i, { id }] of entries.entries()) expect(compareIds(id, entries[i - 1]?.id ?? zeroId)).toBeGreaterThan(0)
        for (const { id, piece } of decoded(entries))
          expect(id.ordinal).toBe(BigInt(piece.firstOrdinal + piece.changes.length - 1))
        for (const { position } of pieces) {
          const own = decoded(entries).filter(({ id }) => id.number === position.number)
          expect(own.map(({ piece }) => piece.last)).toEqual(own.map((_, i) => i === own.length - 1))
        }
      }),
    )
  })

  test('S6: publishing again after any entry, whatever the source cuts, adds exactly what is missing', () => {
    fc.assert(
      fc.property(history, fc.nat(), fc.integer({ min: 1, max: 9 }), (sizes, cut, again) => {
        const whole = collect(transactions(sizes))
        const done = whole.slice(0, whole.length === 0 ? 0 : cut % (whole.length + 1))
        const newest = decoded(done).at(-1)
        const top = newest ? { id: newest.id, last: newest.piece.last } : { id: zeroId, last: true }
        const recut = sizes.map((each) => {
          const total = each.reduce((sum, size) => sum + size, 0)
          return [...Array.from({ length: Math.floor(total / again) }, () => again), total % again]
        })
        const rest = collect(transactions(recut), top)
        expect([...ordinals(done), ...ordinals(rest)]).toEqual(ordinals(whole))
        if (rest[0] && newest) expect(compareIds(rest[0].id, newest.id)).toBeGreaterThan(0)
      }),
    )
  })

  test('S6: too many changes become one marker for each table, under the id of the last change', () => {
    const other = { ...scriptedRelation, oid: 5, table: 'others' }
    const [first, second] = piecesOf(100n, [40, 11])
    const mixed = { ...second!, changes: [...second!.changes.slice(1), insert(1, other)] }
    const entries = collect([first!, mixed])
    expect(entries.map(({ id }) => formatId(id))).toEqual(['100-50'])
    const [only] = decoded(entries)
    expect(only?.piece).toMatchObject({ firstOrdinal: 0, last: true })
    expect(only?.piece.changes.map(({ kind, relation }) => [kind, relation.table])).toEqual([
      ['changed', 'items'],
      ['changed', 'others'],
    ])
  })

  test('S6: too many bytes do as well, and what is collected of them is not kept', () => {
    const collector = new TransactionCollector({ ...limits, maxBytes: 300 }, { id: zeroId, last: true })
    const pieces = piecesOf(100n, [20, 20])
    const entries = pieces.flatMap((piece) => collector.add(piece))
    expect(decoded(entries).flatMap(({ piece }) => piece.changes.map(({ kind }) => kind))).toEqual(['changed'])
  })

  test('a transaction that is in the stream but for its end gets one', () => {
    const entries = collect(piecesOf(100n, [5, 0]), { id: { number: 100n, ordinal: 4n }, last: false })
    expect(decoded(entries)).toMatchObject([{ id: { number: 100n, ordinal: 5n }, piece: { last: true, changes: [] } }])
  })

  test('a piece that the source gives again, after it has connected again, counts once; a missing one is an error', () => {
    const [first, second] = piecesOf(100n, [10, 10])
    expect(ordinals(collect([first!, first!, second!]))).toHaveLength(20)
    expect(() => collect([second!])).toThrow('goes on at change 10 instead of 0')
  })

  test('an empty transaction leaves no trace', () => {
    expect(collect(piecesOf(100n, [0]))).toEqual([])
  })
})

describe('the ids of entries', () => {
  test('keep the order of all 64 bits, as text and back', () => {
    const bits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
    const id: fc.Arbitrary<EntryId> = fc.record({ number: bits, ordinal: bits })
    fc.assert(
      fc.property(id, id, (a, b) => {
        expect(parseId(formatId(a))).toMatchObject({ number: a.number, ordinal: a.ordinal })
        const [left, right] = [(a.number << 64n) | a.ordinal, (b.number << 64n) | b.ordinal]
        expect(Math.sign(compareIds(a, b))).toBe(left < right ? -1 : left > right ? 1 : 0)
        expect(compareIds(a, endOf(a.number))).toBeLessThanOrEqual(0)
      }),
    )
    for (const text of ['', '1', '1-', '-1', '1-2-3', 'a-b', ' 1-2']) expect(parseId(text)).toBeUndefined()
  })
})
