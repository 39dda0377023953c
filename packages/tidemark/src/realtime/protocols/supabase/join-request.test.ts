import { describe, expect, test } from 'vitest'
import { fingerprintOf, toBinding, withIds } from './change-bindings.js'
import { namePosition, readPosition } from './channel-position.js'
import { readJoin, tokenOf } from './join-request.js'

describe('a join', () => {
  test('as supabase-js asks', () => {
    const join = readJoin(
      {
        config: {
          broadcast: { ack: true, self: 'true' },
          presence: { key: 'ann', enabled: true },
          postgres_changes: [{ event: '*', schema: 'public' }, null],
          private: 'False',
        },
        access_token: 'a.b.c',
      },
      'room',
    )
    expect(join).toMatchObject({
      ack: true,
      self: true,
      private: false,
      presenceKey: 'ann',
      presenceEnabled: true,
    })
    expect(join.changes).toEqual([{ event: '*', schema: 'public' }])
    expect([join.legacy, join.problems]).toEqual([false, []])
  })

  test('what cannot be read is left out and noted, and the rest counts', () => {
    const join = readJoin(
      {
        config: { broadcast: 'yes', presence: { enabled: 'maybe', key: 7 }, postgres_changes: 'all', private: true },
      },
      'room',
    )
    expect(join).toMatchObject({
      ack: false,
      private: true,
      presenceEnabled: true,
      presenceKey: undefined,
      changes: [],
    })
    expect(join.problems).toEqual([
      'broadcast: unable to parse, expected a map',
      'key: unable to parse, expected string',
      'enabled: unable to parse, expected boolean',
      'postgres_changes: unable to parse, expected a list',
    ])
    for (const payload of [undefined, null, 'x', 5, [], {}]) expect(readJoin(payload, 'room').legacy).toBe(true)
  })

  test('without a configuration the topic says what is asked for', () => {
    expect(readJoin({}, 'public').changes).toEqual([{ schema: 'public' }])
    expect(readJoin({}, 'public:todos').changes).toEqual([{ schema: 'public', table: 'todos' }])
    expect(readJoin({}, 'public:todos:id=eq.a:b').changes).toEqual([{ schema: 'public', table: 'todos', filter: 'id=eq.a:b' }])
    expect(tokenOf({ user_token: 'a.b.c' })).toBe('a.b.c')
  })

  test('an opaque key is no token: that of the socket counts', () => {
    for (const nothing of [undefined, null, 'a.b.c', { access_token: 5 }]) expect(tokenOf(nothing)).toBeUndefined()
    expect(tokenOf({ config: {}, access_token: 'sb_publishable_x' })).toBeUndefined()
    expect(tokenOf({ config: {}, access_token: 'sb_x', user_token: 'a.b.c' })).toBeUndefined()
    expect(tokenOf({ config: {}, access_token: 'd.e.f', user_token: 'a.b.c' })).toBe('a.b.c')
  })

  test.each([
    [{ since: 5 }, { since: 5, limit: undefined }],
    [
      { since: 5, limit: 3 },
      { since: 5, limit: 3 },
    ],
    [{ since: 'x' }, 'invalid'],
    [{ since: 5, limit: 1.5 }, 'invalid'],
    [true, 'invalid'],
    [null, undefined],
  ])('replay %j', (replay, expected) => {
    expect(readJoin({ config: { broadcast: { replay } } }, 'room').replay).toEqual(expected)
  })
})

describe('the ids of what is asked for', () => {
  test('are the same for the same, whatever the order of the keys, and different for what differs', () => {
    const entries = [
      { event: '*', schema: 'public', table: 'a' },
      { table: 'a', schema: 'public', event: '*' },
      { event: 'INSERT', schema: 'public', table: 'a' },
      { event: '*', schema: 'public', table: 'a', select: ['x'] },
    ]
    const [one, same, other, selecting] = withIds(entries).map(({ id }) => id)
    expect(same).toBe(one)
    expect(new Set([one, other, selecting]).size).toBe(3)
    for (const id of [one, other, selecting]) expect(id! > 0 && id! < 2 ** 27 && Number.isInteger(id)).toBe(true)
    expect(withIds(entries)).toEqual(withIds(structuredClone(entries)))
    expect(fingerprintOf(withIds(entries))).toBe(fingerprintOf(withIds(entries.toReversed().toReversed())))
    expect(fingerprintOf(withIds(entries))).not.toBe(fingerprintOf(withIds(entries.slice(1))))
  })

  test('are different within a channel, however many there are', () => {
    const ids = withIds(Array.from({ length: 5_000 }, (_, index) => ({ schema: 'public', table: `t${index}` }))).map(
      ({ id }) => id,
    )
    expect(new Set(ids).size).toBe(5_000)
  })
})

describe('an entry', () => {
  const bindingOf = (params: Record<string, unknown>) => toBinding({ id: 1, params })

  test('means what Supabase takes it for', () => {
    expect(bindingOf({})).toEqual({ event: '*', schema: '*', table: undefined, filter: undefined, select: undefined })
    expect(bindingOf({ event: 'insert', table: 'a', filter: '' })).toMatchObject({
      event: 'INSERT',
      schema: 'public',
      table: 'a',
    })
    expect(bindingOf({ schema: 'x', select: ['a', 'b'] }).select).toEqual(['a', 'b'])
    expect(bindingOf({ schema: 'x', select: 'a, b' }).select).toEqual(['a', 'b'])
    expect(bindingOf({ schema: 'x', select: [] }).select).toBeUndefined()
  })

  test.each([[{ event: 'DROP' }], [{ schema: 5 }], [{ filter: {} }], [{ select: { a: 1 } }], [{ select: [1] }]])(
    'cannot be %j',
    (params) => {
      expect(() => bindingOf(params)).toThrow()
    },
  )
})

test('positions are read as they are written, and nothing else is one', () => {
  const position = { epoch: 'wal-1-2', number: 255n }
  expect(namePosition(position)).toBe('wal-1-2:ff')
  expect(readPosition('wal-1-2:ff')).toEqual({ position })
  expect(readPosition(namePosition(position, 12))).toEqual({ position, ordinal: 12 })
  for (const text of ['', '/', 'x', 'wal-1-2:ff/', 'wal-1-2:ff/-1', 'wal-1-2:ff/01', 'wal-1-2:ff/1/2', 'wal-1-2:FF']) {
    expect(readPosition(text)).toBeUndefined()
  }
})
