import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isTidemarkError } from '../../../errors.js'
import * as frames from '../../../testing/feed/pgoutput-frames.js'
import type { Value } from '../../feed.js'
import { dateOf, type Message, PgoutputDecoder } from './pgoutput.js'

const columns = [{ name: 'id', key: true, typeOid: 23 }, { name: 'text' }, { name: 'large' }]
const told = (identity = 'd'): PgoutputDecoder => {
  const decoder = new PgoutputDecoder()
  decoder.decode(frames.relation(7, 'public', 't', identity, columns))
  return decoder
}
const change = (message: Message) => (message.type === 'row' ? message.change : undefined)

describe('the decoder of pgoutput', () => {
  it('reads the beginning and the end of a transaction', () => {
    const decoder = new PgoutputDecoder()
    const micros = 762_523_200_123_456n
    expect(decoder.decode(frames.begin(0x1_0000_0002n, 4_294_967_295, micros))).toEqual({
      type: 'begin',
      commitLsn: 0x1_0000_0002n,
      xid: 4_294_967_295,
      committedAt: dateOf(micros),
    })
    expect(dateOf(micros).toISOString()).toBe('2024-02-29T12:00:00.123Z')
    expect(decoder.decode(frames.commit(5n, 9n, micros))).toMatchObject({ type: 'commit', commitLsn: 5n, endLsn: 9n })
  })

  it('reads rows, NULL, empty text and text of several bytes apart', () => {
    const found = change(told().decode(frames.insert(7, ['1', null, 'ü🌊'])))
    expect(found).toMatchObject({ kind: 'insert', old: null, new: ['1', null, 'ü🌊'] })
    expect(change(told().decode(frames.insert(7, ['1', '', 'x'])))?.new).toEqual(['1', '', 'x'])
    expect(found?.relation).toEqual({
      oid: 7,
      schema: 'public',
      table: 't',
      identity: 'default',
      columns: [
        { name: 'id', typeOid: 23, typeModifier: -1, isKey: true },
        { name: 'text', typeOid: 25, typeModifier: -1, isKey: false },
        { name: 'large', typeOid: 25, typeModifier: -1, isKey: false },
      ],
    })
  })

  it('takes what is outside of the old key as unknown, and NULL within a whole old row as NULL', () => {
    expect(change(told().decode(frames.update(7, ['2', 'a', 'b'], { kind: 'K', row: ['1', null, null] })))).toMatchObject({
      kind: 'update',
      old: ['1', undefined, undefined],
      new: ['2', 'a', 'b'],
    })
    expect(change(told().decode(frames.remove(7, 'K', ['1', null, null])))?.old).toEqual(['1', undefined, undefined])
    expect(change(told('f').decode(frames.remove(7, 'O', ['1', null, 'x'])))?.old).toEqual(['1', null, 'x'])
  })

  it('takes an untouched large value as unknown, or from the whole old row', () => {
    expect(change(told().decode(frames.update(7, ['1', 'a', undefined])))).toMatchObject({
      old: null,
      new: ['1', 'a', undefined],
    })
    const full = frames.update(7, ['1', 'a', undefined], { kind: 'O', row: ['1', 'b', 'large'] })
    expect(change(told('f').decode(full))).toMatchObject({ old: ['1', 'b', 'large'], new: ['1', 'a', 'large'] })
  })

  it('gives a new relation after DDL, and leaves the earlier one as it was', () => {
    const decoder = told()
    const before = change(decoder.decode(frames.insert(7, ['1', 'a', 'b'])))?.relation
    decoder.decode(frames.relation(7, 'public', 't', 'd', columns.slice(0, 1)))
    const after = change(decoder.decode(frames.insert(7, ['1'])))?.relation
    expect(before?.columns).toHaveLength(3)
    expect(after?.columns).toHaveLength(1)
  })

  it('reads truncates of several tables, messages, and what says nothing', () => {
    const decoder = told()
    decoder.decode(frames.relation(8, '', 'pg_class', 'n', []))
    const emptied = decoder.decode(frames.truncate([7, 8]))
    expect(emptied).toMatchObject({
      type: 'truncate',
      changes: [{ relation: { table: 't' } }, { relation: { schema: 'pg_catalog' } }],
    })
    expect(decoder.decode(frames.logicalMessage(3n, 'mine', Buffer.from([0, 255]), false))).toEqual({
      type: 'message',
      transactional: false,
      lsn: 3n,
      prefix: 'mine',
      content: Buffer.from([0, 255]),
    })
    expect(decoder.decode(frames.typeName(99, 'public', 'mood'))).toEqual({ type: 'silent' })
    expect(decoder.decode(frames.origin(3n, 'other'))).toEqual({ type: 'silent' })
  })

  it.each([
    ['an unknown relation', frames.insert(8, ['1'])],
    ['too few values', frames.insert(7, ['1'])],
    ['too many values', frames.insert(7, ['1', '2', '3', '4'])],
    ['an unknown kind of message', Buffer.from('Zxyz')],
    ['an unknown kind of value', Buffer.from([0x49, 0, 0, 0, 7, 0x4e, 0, 3, 0x78, 0x6e, 0x6e])],
    ['an unknown kind of old row', Buffer.concat([frames.remove(7, 'K', ['1', null, null]).fill('X', 5, 6)])],
    ['a new row where there is none', frames.insert(7, ['1', null, null]).fill('O', 5, 6)],
    ['an unknown identity', frames.relation(9, 'a', 'b', 'q', [])],
    ['nothing', Buffer.alloc(0)],
    ['a negative length', Buffer.from([0x49, 0, 0, 0, 7, 0x4e, 0, 3, 0x74, 255, 255, 255, 255, 0x6e, 0x6e])],
    ['a negative count', Buffer.from([0x49, 0, 0, 0, 7, 0x4e, 255, 255])],
  ])('refuses %s', (_what, frame) => {
    expect(() => told().decode(frame)).toThrowError(expect.objectContaining({ code: 'TM_FEED_PROTOCOL' }))
  })

  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }))
  const rowValue = fc.oneof({ arbitrary: text, weight: 4 }, { arbitrary: fc.constant(null), weight: 1 })
  const row: fc.Arbitrary<Value[]> = fc.tuple(rowValue, rowValue, rowValue)
  const message = fc.oneof(
    row.map((each) => frames.insert(7, each)),
    fc.tuple(row, row).map(([old, after]) => frames.update(7, after, { kind: 'O', row: old })),
    row.map((each) => frames.remove(7, 'O', each)),
    fc.tuple(fc.bigInt(0n, 2n ** 62n), fc.nat()).map(([lsn, xid]) => frames.begin(lsn, xid)),
    fc.bigInt(0n, 2n ** 62n).map((lsn) => frames.commit(lsn, lsn)),
    text.map((each) => frames.logicalMessage(1n, 'p', Buffer.from(each))),
    fc.constant(frames.relation(7, 'public', 't', 'd', columns)),
    fc.constant(frames.truncate([7, 7])),
  )

  it('gives every row as it was sent', () => {
    const wellFormed = (each: Value) => (typeof each === 'string' ? Buffer.from(each).toString() : each)
    fc.assert(
      fc.property(row, row, (old, after) => {
        const found = change(told('f').decode(frames.update(7, after, { kind: 'O', row: old })))
        expect(found).toMatchObject({ old: old.map(wellFormed), new: after.map(wellFormed) })
      }),
    )
  })

  it('never takes a cut or a lengthened message for a whole one', () => {
    fc.assert(
      fc.property(message, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (whole, part) => {
        const decoder = told()
        const cut = whole.subarray(0, Math.floor(whole.length * part))
        expect(() => decoder.decode(cut)).toThrowError(expect.objectContaining({ code: 'TM_FEED_PROTOCOL' }))
        expect(() => decoder.decode(Buffer.concat([whole, Buffer.from([0])]))).toThrowError(
          expect.objectContaining({ code: 'TM_FEED_PROTOCOL' }),
        )
        expect(() => told().decode(whole)).not.toThrow()
      }),
      { numRuns: 500 },
    )
  })

  it('answers any bytes with a message or TM_FEED_PROTOCOL', () => {
    const kinds = fc.constantFrom(...Buffer.from('BCRIUDTMYO'))
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc.tuple(kinds, fc.uint8Array({ maxLength: 60 })).map(([kind, bytes]) => Buffer.from([kind, ...bytes])),
      // One byte of a true message changed.
      fc.tuple(message, fc.nat(), fc.nat(255)).map(([whole, at, byte]) => {
        const bent = Buffer.from(whole)
        bent[at % bent.length] = byte
        return bent
      }),
    )
    fc.assert(
      fc.property(anything, (bytes) => {
        try {
          expect(told().decode(bytes).type).toBeTypeOf('string')
        } catch (error) {
          if (!isTidemarkError(error, 'TM_FEED_PROTOCOL')) throw error
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
