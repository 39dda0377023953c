import { describe, expect, it } from 'vitest'
import type { ColumnPlan, Conversion, MomentFormat } from '../move.js'
import { columnPlan, strictPolicies, tablePlan } from '../testing/plans.js'
import { createInverter, goesBackExactly } from './create-inverter.js'
import type { FileTable, FileValue, LegacyIds } from './invert.js'
import { createSameValue } from './same-value.js'
import { writeDate } from './write-moment.js'

const columnOf = (conversion: Conversion, targetType: string, declaredType = '', more: Partial<ColumnPlan> = {}): ColumnPlan =>
  columnPlan({ source: 'c', conversion, targetType, declaredType, ...more })

const invert = (column: ColumnPlan, text: string | null, options: { file?: FileTable; ids?: LegacyIds } = {}) => {
  const notes: string[] = []
  const value = createInverter(tablePlan([column]), options).value('c', text, (reason) => notes.push(reason))
  return { value, notes }
}

const format = (more: Partial<MomentFormat> = {}): MomentFormat => ({
  separator: ' ',
  seconds: true,
  fraction: 0,
  zone: 'none',
  ...more,
})

type Case = readonly [name: string, column: ColumnPlan, text: string, value: FileValue]

const exact: readonly Case[] = [
  ['a whole number', columnOf({ kind: 'integer' }, 'bigint', 'INTEGER'), '-9223372036854775808', -(2n ** 63n)],
  ['a whole number in a column of reals', columnOf({ kind: 'integer' }, 'bigint', 'REAL'), '5', 5],
  ['a whole number that the file keeps as a real', columnOf({ kind: 'real' }, 'integer'), '5', 5],
  ['a real', columnOf({ kind: 'real' }, 'double precision', 'REAL'), '1e+300', 1e300],
  ['a real of four bytes', columnOf({ kind: 'real' }, 'real', 'REAL'), '0.1', Math.fround(0.1)],
  ['a whole number out of reals', columnOf({ kind: 'integer' }, 'double precision'), '5', 5n],
  ['a broken number beside whole ones', columnOf({ kind: 'integer' }, 'double precision', 'INTEGER'), '1.5', 1.5],
  ['a decimal with zeros', columnOf({ kind: 'numeric' }, 'numeric(10,2)', 'DECIMAL(10,2)'), '5.00', 5n],
  ['a broken decimal', columnOf({ kind: 'numeric' }, 'numeric(10,2)', 'DECIMAL(10,2)'), '-0.10', -0.1],
  ['a decimal as long as a double', columnOf({ kind: 'numeric' }, 'numeric', 'NUMERIC'), `1${'0'.repeat(300)}`, 1e300],
  ['infinity', columnOf({ kind: 'numeric' }, 'numeric', 'NUMERIC'), '-Infinity', Number.NEGATIVE_INFINITY],
  ['padded text', columnOf({ kind: 'text' }, 'character(4)', 'TEXT'), 'ab  ', 'ab'],
  ['text of digits in a column of text', columnOf({ kind: 'text' }, 'text', 'TEXT'), '007', '007'],
  ['mixed values that print as a number', columnOf({ kind: 'anyText' }, 'text', 'INTEGER'), '7', 7n],
  ['mixed values that a number would not print as', columnOf({ kind: 'anyText' }, 'text', 'INTEGER'), '007', Buffer.from('007')],
  ['mixed values of a bare column', columnOf({ kind: 'anyText' }, 'text'), '7', '7'],
  ['bytes', columnOf({ kind: 'bytes' }, 'bytea', 'BLOB'), '\\x00ff', Buffer.from([0, 255])],
  ['bytes that were text', columnOf({ kind: 'anyBytes' }, 'bytea', 'TEXT'), '\\x6162', 'ab'],
  ['bytes that are no text', columnOf({ kind: 'anyBytes' }, 'bytea', 'TEXT'), '\\xff', Buffer.from([255])],
  ['bytes in a bare column', columnOf({ kind: 'anyBytes' }, 'bytea'), '\\x6162', Buffer.from('ab')],
  ['true as a number', columnOf({ kind: 'boolean', truthy: ['1'], falsy: ['0'] }, 'boolean', 'BOOLEAN'), 't', 1n],
  ['false as text', columnOf({ kind: 'boolean', truthy: ['1'], falsy: ['0'] }, 'boolean', 'TEXT'), 'f', '0'],
  ['true of many forms', columnOf({ kind: 'boolean', truthy: ['yes', 'y'], falsy: ['no'] }, 'boolean', 'TEXT'), 'true', 'yes'],
  ['a date', columnOf({ kind: 'date' }, 'date', 'DATE'), '2024-02-29', '2024-02-29'],
  ['a time', columnOf({ kind: 'time', fraction: 3 }, 'time without time zone', 'TIME'), '01:02:03.5', '01:02:03.500'],
  ['a moment', columnOf({ kind: 'timestamp', format: format({ separator: 'T', fraction: 'auto' }) }, 'timestamp without time zone', 'DATETIME'), '2024-01-02 03:04:05.5', '2024-01-02T03:04:05.500000'],
  ['a moment without seconds', columnOf({ kind: 'timestamp', format: format({ seconds: false }) }, 'timestamp without time zone'), '2024-01-02 03:04:00', '2024-01-02 03:04'],
  ['a moment of any form', columnOf({ kind: 'timestamp', format: null }, 'timestamp without time zone'), '2024-01-02 03:04:05.120', '2024-01-02 03:04:05.12'],
  ['a zoned moment', columnOf({ kind: 'timestamptz', format: format({ zone: 'Z', fraction: 3 }), timeZone: 'UTC' }, 'timestamp with time zone'), '2024-01-02 03:04:05.1+00', '2024-01-02 03:04:05.100Z'],
  ['a moment of another zone', columnOf({ kind: 'timestamptz', format: format({ zone: '+0930' }), timeZone: 'UTC' }, 'timestamp with time zone'), '2023-12-31 23:00:00+00', '2024-01-01 08:30:00+0930'],
  ['a zoned moment of any form', columnOf({ kind: 'timestamptz', format: null, timeZone: 'Europe/Berlin' }, 'timestamp with time zone'), '2024-01-02 03:04:05+00', '2024-01-02 03:04:05+00:00'],
  ['a local time in summer', columnOf({ kind: 'timestamptz', format: format(), timeZone: 'Europe/Berlin' }, 'timestamp with time zone'), '2024-07-01 00:00:00+00', '2024-07-01 02:00:00'],
  ['a local time in winter', columnOf({ kind: 'timestamptz', format: format(), timeZone: 'Europe/Berlin' }, 'timestamp with time zone'), '2024-01-01 00:00:00+00', '2024-01-01 01:00:00'],
  ['the later of an hour that came twice', columnOf({ kind: 'timestamptz', format: format(), timeZone: 'Europe/Berlin' }, 'timestamp with time zone'), '2024-10-27 01:30:00+00', '2024-10-27 02:30:00'],
  ['a zone of another session', columnOf({ kind: 'timestamptz', format: format(), timeZone: 'UTC' }, 'timestamp with time zone'), '2024-01-01 00:00:00-03:30', '2024-01-01 03:30:00'],
  ['seconds before 1970', columnOf({ kind: 'epoch', unit: 'seconds' }, 'timestamp with time zone', 'INTEGER'), '1969-12-31 23:59:58+00', -2n],
  ['microseconds far away', columnOf({ kind: 'epoch', unit: 'microseconds' }, 'timestamp with time zone'), '9999-12-31 23:59:59.999999+00', 253402300799999999n],
  ['a year before Christ', columnOf({ kind: 'epoch', unit: 'seconds' }, 'timestamp with time zone'), '4714-11-24 00:00:00+00 BC', -210866803200n],
  ['a uuid without dashes', columnOf({ kind: 'uuid', form: 'dashless', namespace: '' }, 'uuid', 'TEXT'), '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '6ba7b8109dad11d180b400c04fd430c8'],
  ['json', columnOf({ kind: 'json' }, 'json', 'TEXT'), ' {"a": 1}', ' {"a": 1}'],
  ['a number as json in a column that keeps numbers', columnOf({ kind: 'json' }, 'json', 'JSON'), '1.5', 1.5],
] // biome-ignore format: a table

describe('the way back of a value', () => {
  it.each(exact)('is exact for %s', (_name, column, text, value) => {
    expect(invert(column, text)).toEqual({ value, notes: [] })
  })

  it('is NULL for NULL', () => {
    expect(invert(columnOf({ kind: 'integer' }, 'bigint'), null)).toEqual({ value: null, notes: [] })
  })

  const nearest: readonly (readonly [...Case, note: RegExp])[] = [
    ['forty digits', columnOf({ kind: 'numeric' }, 'numeric', 'NUMERIC'), `${'1234567890'.repeat(4)}.5`, 1.2345678901234568e39, /nearest number/],
    ['a whole number beyond 64 bits', columnOf({ kind: 'numeric' }, 'numeric', 'NUMERIC'), '9223372036854775809', 2 ** 63, /nearest/],
    ['more digits than a double keeps', columnOf({ kind: 'numeric' }, 'numeric', 'REAL'), '0.12345678901234567890', 0.12345678901234568, /nearest/],
    ['a whole number in a column of reals', columnOf({ kind: 'integer' }, 'bigint', 'REAL'), '9007199254740993', 9007199254740992, /nearest/],
    ['NaN', columnOf({ kind: 'real' }, 'double precision', 'REAL'), 'NaN', null, /NULL/],
    ['a number in a column of text', columnOf({ kind: 'integer' }, 'bigint', 'TEXT'), '5', 5n, /keeps text/],
    ['text that a column makes a number of', columnOf({ kind: 'text' }, 'text', 'DATETIME'), '2024', '2024', /makes the number 2024/],
    ['a uuid that a column makes a number of', columnOf({ kind: 'uuid', form: 'dashless', namespace: '' }, 'uuid', 'UUID'), '12345678-1234-1234-1234-123456789012', '12345678123412341234123456789012', /number/],
    ['json that a column prints otherwise', columnOf({ kind: 'json' }, 'json', 'JSON'), '1.0', 1n, /makes 1 of 1\.0/],
    ['a date that never ends', columnOf({ kind: 'date' }, 'date', 'DATE'), 'infinity', 'infinity', /no form/],
    ['a date of five digits', columnOf({ kind: 'date' }, 'date', 'DATE'), '10000-01-01', '10000-01-01', /no form/],
    ['midnight at the end of a day', columnOf({ kind: 'time', fraction: 0 }, 'time without time zone'), '24:00:00', '24:00:00', /no form/],
    ['a time finer than its column', columnOf({ kind: 'time', fraction: 0 }, 'time without time zone'), '01:02:03.25', '01:02:03', /finer/],
    ['seconds where none are written', columnOf({ kind: 'timestamp', format: format({ seconds: false }) }, 'timestamp without time zone'), '2024-01-02 03:04:05', '2024-01-02 03:04', /with seconds/],
    ['infinity', columnOf({ kind: 'timestamp', format: format() }, 'timestamp without time zone'), '-infinity', '-infinity', /no form/],
    ['the year 10000', columnOf({ kind: 'timestamptz', format: format(), timeZone: 'UTC' }, 'timestamp with time zone'), '10000-01-01 00:00:00+00', '10000-01-01 00:00:00+00', /no form/],
    ['the earlier of an hour that came twice', columnOf({ kind: 'timestamptz', format: format(), timeZone: 'Europe/Berlin' }, 'timestamp with time zone'), '2024-10-27 00:30:00+00', '2024-10-27 02:30:00', /twice/],
    ['a part of a second', columnOf({ kind: 'epoch', unit: 'seconds' }, 'timestamp with time zone'), '1969-12-31 23:59:58.5+00', -2n, /finer/],
    ['infinity as a count', columnOf({ kind: 'epoch', unit: 'seconds' }, 'timestamp with time zone'), 'infinity', 'infinity', /no form/],
  ] // biome-ignore format: a table
  it.each(nearest)('is told where it is only near: %s', (_name, column, text, value, note) => {
    const result = invert(column, text)
    expect(result.value).toEqual(value)
    expect(result.notes).toEqual([expect.stringMatching(note)])
  })

  it.each<readonly [ColumnPlan, string]>([
    [columnOf({ kind: 'integer' }, 'bigint'), 'x'],
    [columnOf({ kind: 'integer' }, 'bigint'), '1.5'],
    [columnOf({ kind: 'numeric' }, 'numeric'), '1e5'],
    [columnOf({ kind: 'real' }, 'double precision'), ''],
    [columnOf({ kind: 'bytes' }, 'bytea'), 'ab'],
    [columnOf({ kind: 'boolean', truthy: ['1'], falsy: [] }, 'boolean'), 'f'],
    [columnOf({ kind: 'boolean', truthy: ['1'], falsy: ['0'] }, 'boolean'), '1'],
    [columnOf({ kind: 'date' }, 'date'), '1. Mai'],
    [columnOf({ kind: 'time', fraction: 0 }, 'time without time zone'), 'noon'],
  ])('TM_MOVE_INVERT: a text that is none of its type', (column, text) => {
    expect(() => invert(column, text)).toThrow(expect.objectContaining({ code: 'TM_MOVE_INVERT' }))
  })

  it('TM_MOVE_INVERT: a column that the move does not know', () => {
    expect(() => createInverter(tablePlan([])).value('x', '1', () => {})).toThrow(/no such column/)
  })

  it('makes NULL of what stands for NULL, where the file has a place for it', () => {
    const column = columnOf({ kind: 'integer' }, 'bigint', 'INTEGER', {
      notNull: true,
      policies: { ...strictPolicies, nullAs: '-1' },
    })
    expect(invert(column, '-1').value).toBeNull()
    expect(invert(column, '1').value).toBe(1n)
    const own = {
      name: 'c',
      declaredType: 'INTEGER',
      affinity: 'INTEGER',
      notNull: true,
      defaultSql: null,
      collation: 'BINARY',
      generated: null,
    } as const
    expect(invert(column, '-1', { file: { strict: false, columns: [own] } }).value).toBe(-1n)
    const bytes = columnOf({ kind: 'bytes' }, 'bytea', 'BLOB', { notNull: true, policies: { ...strictPolicies, nullAs: '' } })
    expect(invert(bytes, '\\x').value).toBeNull()
  })

  it('takes the identifiers that the copy mapped out of their map, and any other as it is', () => {
    const ids: LegacyIds = { find: (namespace, uuid) => (namespace === 'n' ? { a: 'old', b: '17' }[uuid] : undefined) }
    const mapped = (declared: string) => columnOf({ kind: 'uuid', form: 'mapped', namespace: 'n' }, 'uuid', declared)
    expect(invert(mapped('TEXT'), 'a', { ids }).value).toBe('old')
    expect(invert(mapped('INTEGER'), 'b', { ids }).value).toBe(17n)
    expect(invert(mapped('TEXT'), 'b', { ids }).value).toBe('17')
    expect(invert(mapped('TEXT'), 'c', { ids }).value).toBe('c')
  })

  it('names the uuids that have to be looked up, and asks for nothing else', () => {
    const table = tablePlan([
      columnOf({ kind: 'text' }, 'text', '', { target: 'a' }),
      columnOf({ kind: 'uuid', form: 'mapped', namespace: 'n' }, 'uuid', '', { target: 'b' }),
    ])
    const wanted = createInverter(table).mapped(
      [{ target: 'a' }, { target: 'b' }],
      [
        ['x', 'u1'],
        ['y', null],
        ['z', undefined],
        ['', 'u2'],
      ],
    )
    expect(wanted).toEqual(new Map([['n', new Set(['u1', 'u2'])]]))
    expect(createInverter(tablePlan([])).mapped([], [])).toEqual(new Map())
  })
})

describe('the way back of a key', () => {
  const key = (column: ColumnPlan, text: string) => createInverter(tablePlan([column])).key(['c'], [text])

  it('gives the values of the file', () => {
    expect(key(columnOf({ kind: 'integer' }, 'bigint', 'INTEGER'), '5')).toEqual([5n])
    expect(key(columnOf({ kind: 'text' }, 'text', 'TEXT'), 'a')).toEqual(['a'])
  })

  it('is none where another value of the file may read the same', () => {
    expect(key(columnOf({ kind: 'anyText' }, 'text', '', { invertible: false }), '5')).toBeUndefined()
    expect(
      key(columnOf({ kind: 'text' }, 'text', 'TEXT', { policies: { ...strictPolicies, nulBytes: 'strip' } }), 'a'),
    ).toBeUndefined()
    expect(key(columnOf({ kind: 'numeric' }, 'numeric'), '5')).toBeUndefined()
    expect(key(columnOf({ kind: 'numeric' }, 'numeric', 'NUMERIC'), '9223372036854775809')).toBeUndefined()
    expect(goesBackExactly(columnOf({ kind: 'uuid', form: 'mapped', namespace: '' }, 'uuid'))).toBe(false)
  })
})

describe('a value of the file and a text of Postgres', () => {
  const same = (column: ColumnPlan, value: FileValue, text: string | null, raw = Buffer.from(String(value))) => {
    const inverter = createInverter(tablePlan([column]))
    return createSameValue(column, (each) => inverter.value('c', each, () => {}))(value, () => raw, text)
  }

  it.each<readonly [ColumnPlan, FileValue, string | null, boolean]>([
    [columnOf({ kind: 'integer' }, 'bigint', 'INTEGER'), 5n, '5', true],
    [columnOf({ kind: 'integer' }, 'bigint', 'INTEGER'), 5n, '6', false],
    [columnOf({ kind: 'integer' }, 'bigint', 'INTEGER'), null, '6', false],
    [columnOf({ kind: 'integer' }, 'bigint', 'INTEGER'), 5n, null, false],
    [columnOf({ kind: 'integer' }, 'bigint', 'INTEGER'), null, null, true],
    [columnOf({ kind: 'numeric' }, 'numeric(10,2)'), 5, '5.00', true],
    [columnOf({ kind: 'anyText' }, 'text'), 5n, '5', true],
    [columnOf({ kind: 'anyText' }, 'text'), '5', '5', true],
    [columnOf({ kind: 'anyBytes' }, 'bytea'), 'ab', '\\x6162', true],
    [columnOf({ kind: 'anyBytes' }, 'bytea'), Buffer.from('ab'), '\\x6163', false],
    [columnOf({ kind: 'bytes' }, 'bytea'), Buffer.from('ab'), '\\x6162', true],
    [columnOf({ kind: 'boolean', truthy: ['1', 'yes'], falsy: ['0'] }, 'boolean'), 'yes', 't', true],
    [columnOf({ kind: 'boolean', truthy: ['1', 'yes'], falsy: ['0'] }, 'boolean'), 'yes', 'f', false],
    [columnOf({ kind: 'jsonb' }, 'jsonb'), '{"b":1.50,"a":[1e2, "1.0", true], "b": 2.0}', '{"a": [100, "1.0", true], "b": 2.0}', true],
    [columnOf({ kind: 'jsonb' }, 'jsonb'), '[9007199254740993]', '[9007199254740992]', false],
    [columnOf({ kind: 'jsonb' }, 'jsonb'), '[1e-3, 1.5e1]', '[0.001, 15]', true],
    [columnOf({ kind: 'jsonb' }, 'jsonb'), '{"a":1}', '[1]', false],
    [columnOf({ kind: 'jsonb' }, 'jsonb'), '{"a":1}', '{"b": 1}', false],
    [columnOf({ kind: 'jsonb' }, 'jsonb'), 5n, '5', true],
    [columnOf({ kind: 'jsonb' }, 'jsonb'), '{', '{}', false],
    [columnOf({ kind: 'uuid', form: 'dashed', namespace: '' }, 'uuid'), '6BA7B810-9DAD-11D1-80B4-00C04FD430C8', '6ba7b810-9dad-11d1-80b4-00c04fd430c8', true],
    [columnOf({ kind: 'uuid', form: 'mapped', namespace: '' }, 'uuid'), 17n, '17', true],
    [columnOf({ kind: 'timestamp', format: null }, 'timestamp without time zone'), '2024-01-02', '2024-01-02 00:00:00', true],
    [columnOf({ kind: 'timestamp', format: null }, 'timestamp without time zone'), 'x', '2024-01-02 00:00:00', false],
    [columnOf({ kind: 'timestamptz', format: null, timeZone: 'Europe/Berlin' }, 'timestamp with time zone'), '2024-01-02T03:04:05Z', '2024-01-02 03:04:05+00', true],
    [columnOf({ kind: 'timestamptz', format: null, timeZone: 'Europe/Berlin' }, 'timestamp with time zone'), '2024-01-02 04:04:05', '2024-01-02 03:04:05+00', true],
    [columnOf({ kind: 'timestamptz', format: null, timeZone: 'Europe/Berlin' }, 'timestamp with time zone'), '2024-01-02 04:04:05', 'infinity', false],
    [columnOf({ kind: 'timestamp', format: format() }, 'timestamp without time zone'), '2024-01-02 00:00:00', '2024-01-02 00:00:00', true],
    [columnOf({ kind: 'timestamptz', format: format(), timeZone: 'UTC' }, 'timestamp with time zone'), '2024-01-02 00:00:00', '2024-01-02 00:00:01+00', false],
    [columnOf({ kind: 'text' }, 'text', '', { policies: { ...strictPolicies, nulBytes: 'strip' } }), 'a\0b', 'ab', true],
    [columnOf({ kind: 'date' }, 'date', '', { policies: { ...strictPolicies, badValue: 'null' } }), 'never', null, true],
    [columnOf({ kind: 'integer' }, 'bigint', '', { notNull: true, policies: { ...strictPolicies, nullAs: '0' } }), null, '0', true],
  ])('are compared by what the copy makes of it: %#', (column, value, text, expected) => {
    expect(same(column, value, text)).toBe(expected)
  }) // biome-ignore format: a table
})

describe('a day', () => {
  it('is written as the calendar has it, and not beyond four digits', () => {
    expect([0, 19_782, -719_162, 2_932_896].map(writeDate)).toEqual(['1970-01-01', '2024-02-29', '0001-01-01', '9999-12-31'])
    expect([-719_163, 2_932_897].map(writeDate)).toEqual([undefined, undefined])
  })
})
