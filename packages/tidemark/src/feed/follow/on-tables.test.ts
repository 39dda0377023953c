import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import type { Follower, Relation } from '../feed.js'
import { decodeValue } from './decode-value.js'
import { onTables, type TableName, type TypedChange } from './on-tables.js'
import { piece } from './testing/scripted-source.js'

interface Database {
  public: {
    Tables: {
      users: { Row: { id: number; email: string | null; tags: string[] }; Insert: object }
      orders: { Row: { id: string }; Insert: object }
    }
    Views: object
  }
  audit: { Tables: { log: { Row: { at: string } } } }
}

const users: Relation = {
  oid: 1,
  schema: 'public',
  table: 'users',
  identity: 'default',
  columns: [
    { name: 'id', typeOid: 23, typeModifier: -1, isKey: true },
    { name: 'email', typeOid: 25, typeModifier: -1, isKey: false },
    { name: 'tags', typeOid: 1009, typeModifier: -1, isKey: false },
  ],
}

describe('changes by table', () => {
  it('are typed by the generated types, and adding a follower is a few lines', async () => {
    const seen: unknown[] = []
    const follower: Follower = {
      name: 'greeter',
      ...onTables<Database>()({
        'public.users': async (change, { position }) => {
          if (change.kind === 'insert')
            expectTypeOf(change.new).toEqualTypeOf<{ id: number; email: string | null; tags: string[] }>()
          seen.push([position.number, change])
        },
        'audit.log': () => undefined,
      }),
    }
    expectTypeOf<TableName<Database>>().toEqualTypeOf<'public.users' | 'public.orders' | 'audit.log'>()
    expect(follower.tables).toEqual(['public.users', 'audit.log'])
    await follower.apply({
      ...piece(7, ['orders 1']),
      changes: [
        { kind: 'insert', relation: users, old: null, new: ['1', null, '{a,"b c"}'] },
        { kind: 'update', relation: users, old: ['1', undefined, undefined], new: ['2', 'e', undefined] },
        { kind: 'delete', relation: users, old: ['2', undefined, undefined], new: null },
        { kind: 'truncate', relation: users, old: null, new: null },
      ],
    })
    expect(seen).toEqual([
      [7n, { kind: 'insert', old: null, new: { id: 1, email: null, tags: ['a', 'b c'] } }],
      [7n, { kind: 'update', old: { id: 1 }, new: { id: 2, email: 'e' } }],
      [7n, { kind: 'delete', old: { id: 2 }, new: null }],
      [7n, { kind: 'truncate', old: null, new: null }],
    ])
  })

  it('are typed by a plain map of tables as well', async () => {
    interface Plain {
      'public.users': { id: number }
    }
    onTables<Plain>()({
      'public.users': (change) => {
        expectTypeOf(change).toEqualTypeOf<TypedChange<{ id: number }>>()
      },
    })
    // @ts-expect-error There is no such table.
    expect(onTables<Plain>()({ 'public.nothing': () => undefined }).tables).toEqual(['public.nothing'])
  })
})

describe('a value', () => {
  it.each([
    [16, 't', true],
    [16, 'f', false],
    [23, '-7', -7],
    [20, '9007199254740991', 9007199254740991],
    [20, '9007199254740993', '9007199254740993'],
    [701, '1e+300', 1e300],
    [701, 'NaN', Number.NaN],
    [700, '-Infinity', -Infinity],
    [1700, '1.50', 1.5],
    [1700, '100', 100],
    [1700, '-0.10', -0.1],
    [1700, '0.1000000000000000055511151231257827', '0.1000000000000000055511151231257827'],
    [1700, '123456789012345678901234567890', '123456789012345678901234567890'],
    [1700, 'NaN', Number.NaN],
    [114, '{"a": [1]}', { a: [1] }],
    [3802, 'null', null],
    [1184, '2024-01-02 03:04:05.6+00', '2024-01-02T03:04:05.6+00:00'],
    [1184, '2024-01-02 03:04:05+05:30', '2024-01-02T03:04:05+05:30'],
    [1184, 'infinity', 'infinity'],
    [1114, '2024-01-02 03:04:05', '2024-01-02T03:04:05'],
    [1082, '2024-01-02', '2024-01-02'],
    [2950, '0b7c', '0b7c'],
    [17, '\\x00ff', '\\x00ff'],
    [1007, '{1,NULL,3}', [1, null, 3]],
    [1007, '[0:1]={1,2}', [1, 2]],
    [
      1007,
      '{{1,2},{3,4}}',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    [1000, '{t,f}', [true, false]],
    [1009, '{}', []],
    [1009, '{"NULL",NULL,"a\\"b\\\\c",""}', ['NULL', null, 'a"b\\c', '']],
    [3807, '{"{\\"a\\": 1}","[]"}', [{ a: 1 }, []]],
    [1009, 'broken', 'broken'],
    [98765, '{a}', '{a}'],
  ] as [number, string, unknown][])('of type %i, %s, is read as JSON has it', (oid, text, value) => {
    expect(decodeValue(oid, text)).toEqual(value)
  })

  it('of an array is what was written', () => {
    const value = fc.option(fc.string({ unit: fc.constantFrom('a', '"', '\\', ',', '{', '}', ' ', 'ß', 'N') }))
    const write = (values: readonly (string | null)[]) =>
      `{${values.map((one) => (one === null ? 'NULL' : `"${one.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`
    fc.assert(fc.property(fc.array(value), (values) => void expect(decodeValue(1009, write(values))).toEqual(values)))
  })
})
