import { describe, expect, it } from 'vitest'
import { affinityOf } from '../../../sqlite/affinity.js'
import { carriedDefaults, type DefaultColumnName, defaultColumns } from '../testing/default-cases.js'
import { isCarried } from '../translation.js'
import { translateDefault } from './translate-default.js'

const translate = (sql: string, name: DefaultColumnName) => {
  const [declared, targetType, conversion] = defaultColumns[name]
  return translateDefault(sql, { targetType, conversion, affinity: affinityOf(declared) })
}

describe('defaults that are carried', () => {
  it.each(carriedDefaults)('%s on %s', (sql, column, expected) => {
    expect(translate(sql, column)).toMatchObject({ sql: expected })
  })
})

describe('defaults that are not carried, with the reason', () => {
  const cases: readonly (readonly [string, DefaultColumnName, RegExp])[] = [
    ["''", 'bigint', /the text ''.*bigint/], ["'null'", 'bigint', /the text 'null'/], ['1.5', 'bigint', /1\.5/], ['40000', 'smallint', /40000/], ['9223372036854775808', 'bigint', /9223372036854775/],
    ["'abc'", 'real', /the text 'abc'/], ["''", 'real', /the text ''/], ["'x'", 'numeric', /the text 'x'/], ['1.005', 'money', /1\.005/], ['123456789', 'money', /123456789/], ["'toolong'", 'varchar', /toolong/],
    ["'text'", 'bytes', /the text 'text'/], ['5', 'bytes', /5/], ["x'00'", 'text', /a blob/], ["x'00'", 'bigint', /a blob/], ["'maybe'", 'boolean', /maybe/], ['2', 'boolean', /2/],
    ["'now'", 'date', /the text 'now'/], ["'now'", 'timestamp', /the text 'now'/], ["'now'", 'anyZoned', /the text 'now'/], ["'today'", 'date', /today/], ["'infinity'", 'timestamp', /infinity/], ["'0000-00-00 00:00:00'", 'timestamp', /0000-00-00/], ["'2023-02-29'", 'date', /2023-02-29/], ["'25:00'", 'time', /25:00/],
    ["'2024-01-01'", 'timestamp', /2024-01-01/], ['0', 'timestamp', /0/], ["datetime('now','localtime')", 'text', /local time/], ["datetime('now','localtime')", 'timestamp', /local time/], ["datetime('now', '+1 month')", 'timestamp', /\+1 month/], ["strftime('%W','now')", 'text', /%W/], ["datetime('now', 'weekday 0')", 'text', /weekday/],
    ["date('now')", 'timestamp', /2024-02-28/], ["datetime('now')", 'date', /2024-02-28 23:59:58/], ["datetime('now')", 'bigint', /bigint/], ['unixepoch()', 'epochMs', /seconds/], ['unixepoch()', 'timestamp', /seconds/], ["strftime('%Y','now')", 'timestamp', /2024/],
    ["julianday('now')", 'text', /Julian/], ['random()', 'bigint', /random/], ['abs(random() % 10)', 'bigint', /random/], ["'x'", 'uuid', /the text 'x'/], ["'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'", 'uuid', /6BA7/], ["'a'", 'mapped', /the text 'a'/], ["'{'", 'json', /the text '\{'/], ["'{a:1}'", 'jsonb', /a:1/],
    ['nextval(1)', 'bigint', /nextval/], ["x'00'", 'any', /a blob/], ["(julianday('now') - 2440587.5) * 86400000", 'bigint', /./], ['0.1 + 0.2', 'money', /round/], ['(SELECT 1)', 'bigint', /query/], ["'' || x'00'", 'text', /blob/], ['hex(randomblob(16))', 'dashless', /hex digits/],
  ] // biome-ignore format: a table

  it.each(cases)('%s on %s', (sql, column, reason) => {
    const translation = translate(sql, column)
    expect(isCarried(translation), JSON.stringify(translation)).toBe(false)
    expect(translation).toMatchObject({ reason: expect.stringMatching(reason), suggestion: expect.stringMatching(/./) })
  })
})

describe('notes', () => {
  it('say where a default is no value that the column has', () => {
    expect(translate("'false'", 'boolean')).toMatchObject({ notes: [expect.stringContaining('read as FALSE')] })
    expect(translate("'2024-01-01T10:00:00'", 'timestamp')).toMatchObject({ notes: [expect.stringContaining('another form')] })
    expect(translate("datetime('now')", 'paris')).toMatchObject({ notes: [expect.stringContaining('writes UTC')] })
    expect(translate("datetime('now', 'localtime')", 'paris')).toMatchObject({ notes: [expect.stringContaining('local time')] })
    expect(translate('hex(randomblob(16))', 'text')).toMatchObject({ notes: [expect.stringContaining('random bits')] })
    expect(translate('5', 'bigint')).toMatchObject({ notes: [] })
  })
})
