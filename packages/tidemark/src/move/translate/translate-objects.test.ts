import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { affinityOf } from '../../sqlite/affinity.js'
import type { SqliteForeignKey, SqliteIndex, SqliteTable } from '../../sqlite/sqlite.js'
import type { Conversion } from '../move.js'
import { describeTrigger } from './describe-trigger.js'
import { globToRegex } from './expression/patterns.js'
import { fitIdentifier, maxIdentifierBytes, quoteIdentifier, quoteLiteral } from './identifiers.js'
import { translateCheck } from './translate-check.js'
import { translateExpression } from './translate-expression.js'
import { translateForeignKey } from './translate-foreign-key.js'
import { translateGenerated } from './translate-generated.js'
import { translateIndex } from './translate-index.js'
import { type ExpressionColumn, type ExpressionContext, isCarried } from './translation.js'

const column = (declared: string, targetType: string, conversion: Conversion, collation = 'BINARY'): ExpressionColumn => ({
  target: `the ${targetType}`,
  targetType,
  conversion,
  affinity: affinityOf(declared),
  collation,
})

const context: ExpressionContext = {
  table: 't',
  columns: new Map([
    ['i', column('INTEGER', 'bigint', { kind: 'integer' })],
    ['r', column('REAL', 'double precision', { kind: 'real' })],
    ['q', column('DECIMAL', 'numeric', { kind: 'numeric' })],
    ['s', column('TEXT', 'text', { kind: 'text' })],
    ['own', column('TEXT', 'text', { kind: 'text' }, 'de_DE')],
    ['o', column('BLOB', 'bytea', { kind: 'bytes' })],
    ['mixed', column('', 'text', { kind: 'anyText' })],
    ['j', column('TEXT', 'json', { kind: 'json' })],
    ['jb', column('TEXT', 'jsonb', { kind: 'jsonb' })],
    ['d', column('DATE', 'date', { kind: 'date' })],
    ['m', column('DATETIME', 'timestamp without time zone', { kind: 'timestamp', format: null })],
    ['z', column('DATETIME', 'timestamp with time zone', { kind: 'timestamptz', format: { separator: ' ', seconds: true, fraction: 0, zone: 'none' }, timeZone: 'Europe/Paris' })],
    ['f', column('BOOLEAN', 'boolean', { kind: 'boolean', truthy: ['1', 'yes'], falsy: ['0'] })],
    ['mapped', column('TEXT', 'uuid', { kind: 'uuid', form: 'mapped', namespace: '' })],
    ['number text', column('TEXT', 'bigint', { kind: 'integer' })],
  ]),
} // biome-ignore format: a table

describe('expressions that are refused, with the reason', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["s > 5 + 0.5", /text is compared with|turns|number/], ["i = 'abc'", /compared with/], ["lower(s) = 5", /compared with/], ['o = s', /blob/], ["s + 1", /applied to text/], ['s AND 1', /truth value/], ['q / 2', /divided/], ['r % 2', /%/], ['r || s', /digits|text/],
    ["own = 'x'", /collation de_DE/], ["s = 'x' COLLATE mine", /collation MINE/], ['mixed = 1', /several classes/], ['mixed + 1', /several classes/], ['jb = \'{}\'', /jsonb/], ['length(jb)', /jsonb/], ["json_extract(s, '$.a') = 'x'", /kept as text/], ["json_extract(j, '$.a') > 5", /depends on the document/], ["json_extract(j, '$.a') + 1", /depends on the document/], ["json_extract(j, '$[#-1]') = 'x'", /no counterpart/], ["json_extract(j, i) = 'x'", /computed/], ["json_extract(j, '$') = 'x'", /whole JSON/], ["j -> 'a'", /->/], ["json_extract(j, '$.a')", /no one class/], ['json_valid(s)', /json_valid/],
    ['m = 1', /./], ["m > '2024-01-01'", /digits/], ["mapped = 'x'", /mapped/], ['"number text" = 5', /text in the file/], ["f = 'maybe'", /spellings/], ['f + 1', /spellings/], ['NOT f', /spellings/],
    ["s REGEXP 'a'", /application/], ["s MATCH 'a'", /application/], ['s GLOB s', /computed/], ["s GLOB '[]a]'", /set/], ["s GLOB '[z-a]'", /backwards/], ["s LIKE 'a' ESCAPE 'ab'", /ESCAPE/], ["s LIKE 'a' ESCAPE 'x'", /letter/], ["s LIKE 'a!' ESCAPE '!'", /ends in/], ["s LIKE s ESCAPE '!'", /computed/], ["o LIKE 'a'", /blob/],
    ["printf('%d', i)", /printf/], ['random()', /random/], ["strftime('%Y', d)", /strftime/], ["date(d, '+1 day')", /date/], ['round(r, 2)', /decimal places/], ['round(q)', /round/], ['typeof(q)', /typeof/], ['substr(s, i)', /computed/], ['substr(o, 1)', /blob/], ['CAST(s AS INTEGER)', /beginning/], ['CAST(r AS TEXT)', /digits|text/], ['CAST(i AS BLOB)', /blob/], ['CAST(r AS NUMERIC)', /NUMERIC/], ['i << i', /computed/], ['r & 1', /&/], ['coalesce(i, s)', /integer or text/], ['CASE WHEN i THEN 1 ELSE s END', /integer or text/], ["min(i, 'a')", /or/], ['max(i)', /aggregate/], ['count(*)', /scalar/],
    ['CURRENT_TIMESTAMP > d', /changes with time/], ['i IN (SELECT 1)', /query/], ['EXISTS (SELECT 1)', /query/], ['(i, s) = (1, 2)', /row value/], ['other.i', /no column/], ['nope', /no column nope/], ['[nope]', /no column/], ['i +', /not understood/], ['i i', /not understood/], ["x'0'", /not understood/], ['?1', /not understood/], ['', /not understood/], ['sum(i) OVER ()', /window/], ['constructor(i)', /constructor/],
  ] // biome-ignore format: a table

  it.each(cases)('%s', (sql, reason) => {
    const translation = translateExpression(sql, context)
    expect(isCarried(translation), JSON.stringify(translation)).toBe(false)
    expect(translation).toMatchObject({ reason: expect.stringMatching(reason), suggestion: expect.stringMatching(/./) })
  })

  it('text orders of UTF-16 files', () => {
    expect(isCarried(translateExpression("s < 'b'", { ...context, encoding: 'UTF-16le' }))).toBe(false)
    expect(isCarried(translateExpression("s = 'b'", { ...context, encoding: 'UTF-16le' }))).toBe(true)
  })

  it('what changes with settings, where an index needs it', () => {
    expect(isCarried(translateExpression('length(d)', context))).toBe(true)
    expect(isCarried(translateExpression('length(d)', context, { immutable: true }))).toBe(false)
  })
})

describe('expressions that are carried', () => {
  it('keep the shape that Postgres can use an index for', () => {
    const sql = (text: string, as: 'value' | 'boolean' = 'boolean') => translateExpression(text, context, { as })
    expect(sql('i > 5 AND s IS NOT NULL')).toEqual({ sql: '("the bigint" > 5) AND ("the text" IS NOT NULL)', notes: [] })
    expect(sql("d >= '2024-01-01'")).toEqual({ sql: `"the date" >= DATE '2024-01-01'`, notes: [] })
    expect(sql("s IN ('a', 'b')")).toEqual({ sql: `"the text" IN ('a', 'b')`, notes: [] })
    expect(sql('f = 1')).toEqual({ sql: '"the boolean" = TRUE', notes: [expect.stringContaining('one value in Postgres')] })
    expect(sql('"no column" = s')).toEqual({
      sql: `'no column' = "the text"`,
      notes: [expect.stringContaining('names no column')],
    })
  })
})

describe('checks and generated columns that are not carried', () => {
  it('give the reason and the text', () => {
    const table = { schema: 'public', name: 't' }
    expect(translateCheck({ name: null, expression: "s REGEXP 'x'" }, context, { table, name: 'c' })).toEqual({
      reason: expect.stringContaining('REGEXP'),
      suggestion: expect.stringContaining("s REGEXP 'x'"),
    })
    const into = { source: 'g', targetType: 'text', conversion: { kind: 'text' }, affinity: 'TEXT' } as const
    const cases: readonly [string, typeof into | (Omit<typeof into, 'targetType' | 'conversion' | 'affinity'> & { targetType: string; conversion: Conversion; affinity: 'TEXT' | 'INTEGER' | 'NUMERIC' })][] = [
      ['length(d)', into],
      ['r', into],
      ['s', { ...into, targetType: 'bigint', conversion: { kind: 'integer' }, affinity: 'INTEGER' }],
      ['r * 2', { ...into, targetType: 'numeric(10,2)', conversion: { kind: 'numeric' }, affinity: 'NUMERIC' }],
      ['i', { ...into, targetType: 'date', conversion: { kind: 'date' }, affinity: 'NUMERIC' }],
      ['i + 1', { ...into, targetType: 'boolean', conversion: { kind: 'boolean', truthy: ['1'], falsy: ['0'] }, affinity: 'NUMERIC' }],
      ["json_extract(j, '$.a')", { ...into, targetType: 'bigint', conversion: { kind: 'integer' }, affinity: 'INTEGER' }],
      ['g || 1', into],
    ] // biome-ignore format: a table
    for (const [sql, column] of cases) expect(isCarried(translateGenerated(sql, context, column)), sql).toBe(false)
  })
})

const index = (parts: Partial<SqliteIndex['parts'][number]>[], facts: Partial<SqliteIndex> = {}): SqliteIndex => ({
  name: 'x',
  unique: false,
  origin: 'c',
  where: null,
  sql: 'CREATE INDEX x ON t(…)',
  ...facts,
  parts: parts.map((part) => ({ column: null, expression: null, descending: false, collation: 'BINARY', ...part })),
})

describe('indexes', () => {
  const target = { table: { schema: 'public', name: 't' }, name: 'x' }
  const translate = (...args: Parameters<typeof index>) => translateIndex(index(...args), context, target)

  it('become constraints where they belong to one', () => {
    expect(translate([{ column: 'i' }, { column: 's' }], { unique: true, origin: 'u', sql: null })).toMatchObject({
      sql: 'ALTER TABLE "public"."t" ADD CONSTRAINT "x" UNIQUE ("the bigint", "the text")',
    })
    expect(translate([{ column: 'i' }], { unique: true, origin: 'pk', sql: null })).toMatchObject({
      sql: 'ALTER TABLE "public"."t" ADD CONSTRAINT "x" PRIMARY KEY ("the bigint")',
    })
    expect(translate([{ column: 's', collation: 'NOCASE' }], { unique: true, origin: 'u', sql: null })).toMatchObject({
      sql: 'CREATE UNIQUE INDEX "x" ON "public"."t" ((lower("the text" COLLATE "C")))',
    })
  })

  it('are refused where they would be another index', () => {
    const refused: readonly (readonly [ReturnType<typeof translate>, RegExp])[] = [
      [translate([{ column: 's', collation: 'de_DE' }]), /collation de_DE/],
      [translate([{ column: 'j' }]), /no order for json/],
      [translate([{ column: 'jb' }], { unique: true }), /unique/],
      [translate([{ column: 'mixed' }], { unique: true }), /unique/],
      [translate([{ column: 'f' }], { unique: true }), /unique/],
      [translate([{ expression: "json_extract(j, '$.a')" }], { unique: true }), /unique/],
      [translate([{ expression: 'length(d)' }]), /does not allow/],
      [translate([{ expression: "'x'" }]), /constant/],
      [translate([{ expression: 'rowid' }]), /no column rowid/],
      [translate([{ column: 'gone' }]), /not carried/],
      [translate([{ column: 'i' }], { where: "s REGEXP 'x'" }), /REGEXP/],
      [translate([{ column: 'i' }], { where: 'length(d) > 1' }), /does not allow/],
    ]
    for (const [translation, reason] of refused) expect(translation).toMatchObject({ reason: expect.stringMatching(reason) })
  })
})

describe('foreign keys that are not carried', () => {
  const parent = (facts: Partial<SqliteTable> = {}): SqliteTable => ({
    name: 'p',
    sql: '',
    withoutRowid: false,
    strict: false,
    columns: [],
    primaryKey: { name: null, columns: ['id'] },
    rowidAlias: 'id',
    rowidName: 'id',
    autoincrement: false,
    highWater: null,
    indexes: [],
    foreignKeys: [],
    checks: [],
    ...facts,
  })
  const key: SqliteForeignKey = {
    name: null,
    columns: ['a'],
    parentTable: 'p',
    parentColumns: ['id'],
    onUpdate: 'NO ACTION',
    onDelete: 'NO ACTION',
    initiallyDeferred: false,
  }
  const target = {
    table: { schema: 's', name: 't' },
    name: 'fk',
    parent: { schema: 's', name: 'p' },
    columns: ['a'],
    parentColumns: ['id'],
    parentTable: parent(),
  }
  const unique = (collation: string, where: string | null = null) =>
    index([{ column: 'code', collation }], { unique: true, where })

  it('give the reason', () => {
    expect(translateForeignKey(key, target)).toMatchObject({
      sql: 'ALTER TABLE "s"."t" ADD CONSTRAINT "fk" FOREIGN KEY ("a") REFERENCES "s"."p" ("id")',
    })
    expect(translateForeignKey(key, { ...target, parentTable: null })).toMatchObject({
      reason: expect.stringContaining('does not exist'),
    })
    expect(translateForeignKey({ ...key, parentColumns: [] }, target)).toMatchObject({
      reason: expect.stringContaining('no primary key'),
    })
    const code = { ...key, parentColumns: ['CODE'] }
    expect(translateForeignKey(code, target)).toMatchObject({ reason: expect.stringContaining('unique') })
    expect(translateForeignKey(code, { ...target, parentTable: parent({ indexes: [unique('BINARY')] }) })).toHaveProperty('sql')
    expect(translateForeignKey(code, { ...target, parentTable: parent({ indexes: [unique('NOCASE')] }) })).toMatchObject({
      reason: expect.stringContaining('NOCASE'),
    })
    expect(translateForeignKey(code, { ...target, parentTable: parent({ indexes: [unique('BINARY', 'a > 1')] }) })).toMatchObject(
      { reason: expect.stringContaining('unique') },
    )
    const types = { columns: ['text'], parentColumns: ['uuid'] }
    expect(translateForeignKey(key, { ...target, types: { columns: ['integer'], parentColumns: ['bigint'] } })).toHaveProperty(
      'sql',
    )
    expect(translateForeignKey(key, { ...target, types })).toMatchObject({ reason: 'it would join text to uuid' })
  })
})

describe('triggers', () => {
  it('are described by event, table and statements, with the way to write them anew', () => {
    const sql = `CREATE TRIGGER IF NOT EXISTS "tr 1" AFTER UPDATE OF a, "b c" ON "the table" FOR EACH ROW WHEN NEW.a > 1 BEGIN
      UPDATE t SET x = (SELECT 1); INSERT INTO log VALUES (NEW.a); INSERT INTO log VALUES ('a;b'); SELECT RAISE(ABORT, 'no'); END`
    expect(describeTrigger({ name: 'tr 1', table: 'the table', sql })).toEqual({
      reason:
        'a trigger AFTER UPDATE of a, b c on the table, under a condition that runs 1 UPDATE, 2 INSERT, 1 SELECT and may refuse the change',
      suggestion: expect.stringMatching(
        /plpgsql.*RETURN NULL.*AFTER UPDATE OF a, b c ON the table FOR EACH ROW WHEN.*RAISE EXCEPTION/,
      ),
    })
    const simple = describeTrigger({ name: 'x', table: 't', sql: 'CREATE TRIGGER x DELETE ON t BEGIN DELETE FROM u; END' })
    expect(simple.reason).toBe('a trigger BEFORE DELETE on t that runs 1 DELETE')
    expect(simple.suggestion).toContain('RETURN OLD')
    expect(
      describeTrigger({ name: 'x', table: 'v', sql: 'CREATE TRIGGER x INSTEAD OF INSERT ON v BEGIN SELECT 1; END' }).reason,
    ).toContain('INSTEAD OF INSERT')
    expect(describeTrigger({ name: 'x', table: 't', sql: 'CREATE TRIGGER x' }).reason).toContain('not understood')
  })
})

describe('identifiers', () => {
  it('fit into 63 bytes, are cut between characters, are free, and come out the same every time', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 120, unit: 'grapheme' }), fc.array(fc.string()), (name, others) => {
        const taken = new Set(others)
        const fitted = fitIdentifier(name, taken)
        expect(Buffer.byteLength(fitted)).toBeLessThanOrEqual(maxIdentifierBytes)
        expect(fitted).not.toBe('')
        if (!name.includes('\ufffd')) expect(fitted).not.toContain('\ufffd')
        expect(taken.has(fitted)).toBe(false)
        expect(fitIdentifier(name, new Set(others))).toBe(fitted)
        expect(fitIdentifier(name, new Set([...others, fitted]))).not.toBe(fitted)
      }),
    )
    expect(fitIdentifier('Plain Name')).toBe('Plain Name')
    const [a, b] = [fitIdentifier(`${'x'.repeat(70)}a`), fitIdentifier(`${'x'.repeat(70)}b`)]
    expect(a).not.toBe(b)
    expect(fitIdentifier('é'.repeat(40))).toMatch(/^é{27}_[0-9a-f]{8}$/)
  })

  it('are quoted whatever they hold', () => {
    expect(quoteIdentifier('a"b')).toBe('"a""b"')
    expect(quoteLiteral("it's")).toBe("'it''s'")
    expect(quoteLiteral('a\\b')).toBe("E'a\\\\b'")
  })
})

describe('GLOB', () => {
  it('becomes a regular expression that matches the same', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['a*b?', '^(?:a.*b.)$'],
      ['[a-c]', '^(?:[a-c])$'],
      ['[^0-9]*', '^(?:[^0-9].*)$'],
      ['1.5+(x)', '^(?:1\\.5\\+\\(x\\))$'],
      ['a]b', '^(?:a\\]b)$'],
      ['***', '^(?:.*.*.*)$'],
    ]
    for (const [pattern, regex] of cases) expect(globToRegex(pattern)).toBe(regex)
  })
})
