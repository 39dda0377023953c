import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonElements, jsonMembers } from './json-members.js'
import { createRealtimeReader } from './realtime-change.js'

const columns = (...types: string[]): string => JSON.stringify(types.map((type, index) => ({ name: `c${index}`, type })))
const frame = (type: string, record: string, old: string, more = '"errors":null') =>
  `{"schema":"public","table":"t","commit_timestamp":"2026-01-02T03:04:05.678Z","type":"${type}","columns":${columns('int8', 'text')},"record":${record},"old_record":${old},${more}}`

describe('JSON taken apart', () => {
  it('has the members and elements of what was written, with or without blanks', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 2), (value, indent) => {
        const members = jsonMembers(JSON.stringify(value, null, indent))
        const read = Object.fromEntries([...members].map(([name, text]) => [name, JSON.parse(text)]))
        expect(read).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(undefined, 1), (value, indent) => {
        const elements = jsonElements(JSON.stringify(value, null, indent))
        expect(elements.map((text) => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })
})

describe('a change of Realtime', () => {
  it("has its values in Postgres' text, with every digit", () => {
    const data = `{"schema":"public","table":"t","commit_timestamp":"2026-01-02T03:04:05.678Z","type":"INSERT","columns":${columns(
      'int8',
      'numeric',
      'bool',
      'timestamptz',
      'timestamp',
      'jsonb',
      '_text',
      '_int4',
      'bytea',
      'mood',
      'float8',
      '_jsonb',
    )},"record":{"c0":9007199254740993,"c1":1.50,"c2":true,"c3":"2024-01-02T03:04:05.6+00:00","c4":"2024-01-02T03:04:05","c5":{"a": 12345678901234567890},"c6":["a,b",null,"","c\\"d","NULL"],"c7":[[1,2],[3,4]],"c8":"\\\\x00ff","c9":"ok","c10":1e+300,"c11":[{"a":[1]},[2]]},"errors":null}`
    const { change, committedAt } = createRealtimeReader().read(data)
    expect(change.new).toEqual([
      '9007199254740993',
      '1.50',
      't',
      '2024-01-02 03:04:05.6+00',
      '2024-01-02 03:04:05',
      '{"a": 12345678901234567890}',
      '{"a,b",NULL,"","c\\"d","NULL"}',
      '{{1,2},{3,4}}',
      '\\x00ff',
      'ok',
      '1e+300',
      '{"{\\"a\\":[1]}",[2]}',
    ])
    expect(change.relation.columns.map(({ typeOid }) => typeOid)).toEqual([
      20, 1700, 16, 1184, 1114, 3802, 1009, 1007, 17, 0, 701, 3807,
    ])
    expect(committedAt.toISOString()).toBe('2026-01-02T03:04:05.678Z')
  })

  it('has an old row where the key changed, or all of it is told', () => {
    const reader = createRealtimeReader()
    const read = (...args: Parameters<typeof frame>) => reader.read(frame(...args)).change
    expect(read('UPDATE', '{"c0":1,"c1":"b"}', '{"c0":1}')).toMatchObject({ old: null, new: ['1', 'b'] })
    expect(read('UPDATE', '{"c0":2,"c1":"b"}', '{"c0":1}')).toMatchObject({ old: ['1', undefined], new: ['2', 'b'] })
    const deleted = read('DELETE', '{}', '{"c0":2}')
    expect(deleted).toMatchObject({ kind: 'delete', old: ['2', undefined], new: null })
    expect(deleted.relation.columns.map(({ isKey }) => isKey)).toEqual([true, false])
    const full = read('UPDATE', '{"c0":1,"c1":"b"}', '{"c0":1,"c1":"a"}')
    expect(full).toMatchObject({ old: ['1', 'a'], new: ['1', 'b'] })
    expect(full.relation.identity).toBe('full')
    expect(read('INSERT', '{"c0":3,"c1":null}', '{}').relation).toBe(full.relation)
  })

  it('says only that something changed where the row could not be shown, or is of a kind that is not known', () => {
    const reader = createRealtimeReader()
    expect(reader.read(frame('INSERT', '{}', '{}', '"errors":["Error 401: Unauthorized"]')).change.kind).toBe('changed')
    expect(reader.read(frame('INSERT', '{"c0":1,"c1":"a"}', '{}', '"errors":[]')).change.kind).toBe('insert')
    expect(reader.read(frame('TRUNCATE', '{}', '{}')).change.kind).toBe('changed')
  })
})
