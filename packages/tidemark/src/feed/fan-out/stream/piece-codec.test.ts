import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isTidemarkError } from '../../../errors.js'
import type { Change, Relation, Row, TransactionPiece, Value } from '../../feed.js'
import { PieceDecoder } from './piece-decoder.js'
import { encodePiece } from './piece-encoder.js'

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>
const text = fc.string({ unit: 'binary', maxLength: 40 })
const value: fc.Arbitrary<Value> = fc.oneof(fc.constant(null), fc.constant(undefined), text)

const relation: fc.Arbitrary<Relation> = record({
  oid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  schema: text,
  table: text,
  identity: fc.constantFrom('default', 'nothing', 'full', 'index'),
  columns: fc.array(
    record({
      name: text,
      typeOid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      typeModifier: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      isKey: fc.boolean(),
    }),
    { maxLength: 6 },
  ),
})

const rowOf = ({ columns }: Relation): fc.Arbitrary<Row> =>
  fc.array(value, { minLength: columns.length, maxLength: columns.length })

const changeOf = (of: Relation): fc.Arbitrary<Change> => {
  const row = rowOf(of)
  const nothing = fc.constant(null)
  const as = (kind: Change['kind'], old: fc.Arbitrary<Row | null>, next: fc.Arbitrary<Row | null>) =>
    record({ kind: fc.constant(kind), relation: fc.constant(of), old, new: next }) as fc.Arbitrary<Change>
  return fc.oneof(
    as('insert', nothing, row),
    as('update', fc.option(row), row),
    as('delete', row, nothing),
    as('truncate', nothing, nothing),
    as('changed', nothing, nothing),
  )
}

const piece: fc.Arbitrary<TransactionPiece> = fc.array(relation, { minLength: 1, maxLength: 3 }).chain((relations) =>
  record({
    type: fc.constant('transaction' as const),
    position: record({ epoch: fc.constant('wal-1'), number: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }) }),
    xid: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    committedAt: fc.date(),
    firstOrdinal: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    changes: fc.array(fc.constantFrom(...relations).chain(changeOf), { maxLength: 8 }),
    last: fc.boolean(),
  }),
)

const bare: Relation = { oid: 7, schema: 'public', table: 't', identity: 'default', columns: [] }
const simple = (changes: readonly Change[]): TransactionPiece => ({
  type: 'transaction',
  position: { epoch: 'wal-1', number: 9n },
  xid: 3n,
  committedAt: new Date(0),
  firstOrdinal: 0,
  changes,
  last: true,
})

describe('the bytes of a piece', () => {
  test('give back every piece exactly: null apart from unknown, any text, any number', () => {
    fc.assert(
      fc.property(piece, (given) => {
        expect(new PieceDecoder().decode(encodePiece(given), given.position)).toStrictEqual(given)
      }),
      { numRuns: 500 },
    )
  })

  test('are readable by themselves, and a table stays one object for whoever reads many', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (given) => {
        const decoder = new PieceDecoder()
        const read = given.map((each) => decoder.decode(encodePiece(each), each.position))
        expect(read).toStrictEqual(given)
      }),
      { numRuns: 50 },
    )
    const decoder = new PieceDecoder()
    const change: Change = { kind: 'truncate', relation: bare, old: null, new: null }
    const [first, second] = [1, 2].map(() => decoder.decode(encodePiece(simple([change])), { epoch: 'wal-1', number: 9n }))
    expect(first?.changes[0]?.relation).toBe(second?.changes[0]?.relation)
    const altered = { ...bare, identity: 'full' } as const
    const third = decoder.decode(encodePiece(simple([{ ...change, relation: altered }])), { epoch: 'wal-1', number: 9n })
    expect(third.changes[0]?.relation).toStrictEqual(altered)
  })

  test('that are cut short, or longer, or of another version, are refused and never misread', () => {
    fc.assert(
      fc.property(piece, fc.nat(), (given, cut) => {
        const bytes = encodePiece(given)
        const refused = (altered: Buffer) => {
          try {
            new PieceDecoder().decode(altered, given.position)
            return false
          } catch (error) {
            return isTidemarkError(error, 'TM_FEED_ENTRY')
          }
        }
        expect(refused(Buffer.from(bytes.subarray(0, cut % bytes.length)))).toBe(true)
        expect(refused(Buffer.concat([bytes, Buffer.from([0])]))).toBe(true)
        expect(refused(Buffer.concat([Buffer.from([99]), bytes.subarray(1)]))).toBe(true)
      }),
    )
  })

  test('describe a table once, and weigh little more than the values', () => {
    const wide: Relation = {
      ...bare,
      columns: Array.from({ length: 10 }, (_, i) => ({ name: `column_${i}`, typeOid: 23, typeModifier: -1, isKey: i === 0 })),
    }
    const row = Array.from({ length: 10 }, () => '12345678')
    const changes = Array.from({ length: 1000 }, (): Change => ({ kind: 'insert', relation: wide, old: null, new: row }))
    expect(encodePiece(simple(changes)).length).toBeLessThan(1000 * 10 * 8 * 1.2)
  })
})
