import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scriptedRelation } from '../../../testing/feed/scripted-log.js'
import type { Change, FeedEvent, TransactionPiece } from '../../feed.js'
import { DeliveredCursor } from './delivered-cursor.js'

const change: Change = { kind: 'truncate', relation: scriptedRelation, old: null, new: null }
const row: Change = { kind: 'insert', relation: scriptedRelation, old: null, new: ['1', 'a'] }

const piece = (number: bigint, firstOrdinal: number, count: number, last: boolean, epoch = 'a'): TransactionPiece => ({
  type: 'transaction',
  position: { epoch, number },
  xid: 1n,
  committedAt: new Date(0),
  firstOrdinal,
  changes: Array.from({ length: count }, () => row),
  last,
})

const cut = (number: bigint, total: number, size: number): TransactionPiece[] =>
  Array.from({ length: Math.ceil(total / size) }, (_, i) =>
    piece(number, i * size, Math.min(size, total - i * size), (i + 1) * size >= total),
  )

const places = (events: readonly (FeedEvent | undefined)[]): string[] =>
  events.flatMap((event) =>
    event?.type === 'transaction' ? event.changes.map((_, i) => `${event.position.number}/${event.firstOrdinal + i}`) : [],
  )

describe('what a node was given', () => {
  test('is not given again when another source goes on from anywhere before, cut as it likes', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(
        sizes,
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 7 }),
        (totals, stop, back, a, b) => {
          const all = (size: number) => totals.flatMap((total, i) => cut(BigInt(i + 1), total, size))
          const cursor = new DeliveredCursor()
          const before = all(a)
            .slice(0, stop % (all(a).length + 1))
            .map((event) => cursor.admit(event))
          const from = cursor.position?.number ?? 0n
          const resumed = all(b).filter(({ position }) => position.number > from - BigInt(back % 3))
          const after = resumed.map((event) => cursor.admit(event))
          expect(places([...before, ...after])).toEqual(places(all(1)))
        },
      ),
    )
  })

  test('a marker stands for its table, whatever rows were given before', () => {
    const cursor = new DeliveredCursor()
    cursor.admit(piece(5n, 0, 10, false))
    const marker: TransactionPiece = { ...piece(5n, 0, 0, true), changes: [{ ...change, kind: 'changed' }] }
    expect(cursor.admit(marker)).toBe(marker)
    expect(cursor.admit(marker)).toBeUndefined()
  })

  test('an empty end of a transaction is given, once', () => {
    const cursor = new DeliveredCursor()
    cursor.admit(piece(5n, 0, 3, false))
    expect(cursor.admit(piece(5n, 3, 0, true))).toMatchObject({ last: true, firstOrdinal: 3 })
    expect(cursor.admit(piece(5n, 3, 0, true))).toBeUndefined()
  })

  test('a source that begins in the epoch that is known says nothing new; another epoch does', () => {
    const cursor = new DeliveredCursor({ epoch: 'a', number: 9n })
    const reset = (epoch: string, reason: 'start' | 'gap' | 'newHistory', number: bigint): FeedEvent => ({
      type: 'reset',
      epoch,
      reason,
      position: { epoch, number },
    })
    expect(cursor.admit(reset('a', 'start', 3n))).toBeUndefined()
    expect(cursor.admit(reset('a', 'gap', 3n))).toMatchObject({ reason: 'gap' })
    expect(cursor.position).toEqual({ epoch: 'a', number: 9n })
    expect(cursor.admit(reset('b', 'newHistory', 3n))).toMatchObject({ epoch: 'b' })
    expect(cursor.position).toEqual({ epoch: 'b', number: 3n })
    expect(cursor.admit(piece(4n, 0, 1, true, 'b'))).toBeDefined()
  })

  test('a proof takes it further; a transaction that was given in part comes again as a whole', () => {
    const cursor = new DeliveredCursor({ epoch: 'a', number: 1n })
    cursor.admit({ type: 'fresh', position: { epoch: 'a', number: 7n }, asOf: 0 })
    expect(cursor.position).toEqual({ epoch: 'a', number: 7n })
    cursor.admit(piece(9n, 0, 2, false))
    expect(cursor.position).toEqual({ epoch: 'a', number: 8n })
  })
})
