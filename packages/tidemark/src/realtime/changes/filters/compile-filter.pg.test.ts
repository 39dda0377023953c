import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { openPool } from '../../../feed/sources/outbox/testing/open-outbox.js'
import { bootstrappedTemplate } from '../../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { createTableCatalogue, type TableFacts } from '../values/table-catalogue.js'
import { createTypeCatalogue } from '../values/type-catalogue.js'
import { createAskPostgres } from './ask-postgres.js'
import { createFilterCompiler } from './compile-filter.js'
import type { FilterTest } from './filter-test.js'
import { parseFilter } from './filter-text.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const cleanups = useCleanups()

beforeAll(async () => {
  await client.query(`
    create extension if not exists citext;
    create type mood as enum ('sad', 'ok', 'happy');
    alter type mood add value 'furious' before 'sad';
    create domain short as varchar(10);
    create collation if not exists nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table kinds (
      "int2" int2, "int4" int4, "int8" int8, "numeric" numeric, "float4" float4, "float8" float8, "bool" bool, "uuid" uuid, "text" text,
      "plain" text collate "C", "loose" text collate nd, "varchar" varchar(20), "bpchar" char(6), "date" date, "time" time,
      "timestamp" timestamp, "timestamptz" timestamptz, "bytea" bytea, "mood" mood, "citext" citext, "short" short, "ints" int[],
      "jsonb" jsonb, "inet" inet, "interval" interval
    )`)
})

const open = () => {
  const { pool, close } = openPool(database.url)
  cleanups.push(close)
  const types = createTypeCatalogue(pool)
  return { pool, compile: createFilterCompiler(pool), tables: createTableCatalogue(pool, types), ask: createAskPostgres(pool) }
}

const words = fc.constantFrom(
  '',
  'a',
  'A',
  'b',
  'B',
  'ab',
  'aB',
  'ä',
  'Z',
  'z',
  ' a',
  'a ',
  'a%',
  'a_b',
  '10',
  '9',
  '😀',
  'ﬁ',
  '%',
  '_',
  "o'b",
)
const integers = fc.oneof(fc.integer({ min: -300, max: 300 }).map(String), fc.constantFrom('07', '-0', '+5', ' 12 '))
const decimals = fc.constantFrom(
  '0',
  '-0.0',
  '1',
  '1.0',
  '1.00',
  '01.5',
  '-1.5',
  '1e2',
  '100',
  '0.1',
  '.5',
  'NaN',
  'Infinity',
  '-Infinity',
  '12345678901234567890.1',
  '12345678901234567890.10',
  '-3',
)
const moments = fc.constantFrom(
  '2024-01-02 03:04:05',
  '2024-01-02 03:04:05.5',
  '2024-01-02T03:04:05+02',
  '2024-01-02 01:04:05Z',
  '0044-03-15 00:00:00 BC',
  'infinity',
  '-infinity',
  '12024-01-01',
  '2024-02-29 23:59:59.999999-09:30',
)
const bytes = fc.constantFrom('\\x', '\\x00', '\\x0a', '\\x0a00', '\\xff')

/** Texts of each column that Postgres takes. */
const values: Readonly<Record<string, fc.Arbitrary<string>>> = {
  int2: integers,
  int4: integers,
  int8: fc.oneof(integers, fc.constantFrom('9007199254740993', '9007199254740992', '-9223372036854775808')),
  numeric: decimals,
  float4: fc.oneof(decimals, fc.constantFrom('0.1', '1e30')),
  float8: fc.oneof(decimals, fc.constantFrom('0.1', '1e300', '0.30000000000000004')),
  bool: fc.constantFrom('true', 'f', 'yes', 'off', 't'),
  uuid: fc.constantFrom(
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
    'a0eebc999c0b4ef8bb6d6bb9bd380a11',
    '{00000000-0000-0000-0000-000000000001}',
  ),
  text: words,
  plain: words,
  loose: words,
  varchar: words,
  bpchar: words.filter((word) => word.length <= 6),
  date: fc.constantFrom('2024-01-02', 'Jan 2, 2024', '0044-03-15 BC', 'infinity', '20240103'),
  time: fc.constantFrom('10:00', '10:00:00.5', '09:59:59', '24:00', '00:00'),
  timestamp: moments,
  timestamptz: moments,
  bytea: bytes,
  mood: fc.constantFrom('sad', 'ok', 'happy', 'furious'),
  citext: words,
  short: words,
  ints: fc.constantFrom('{}', '{1,2}', '{1,3}', '{2}'),
  jsonb: fc.constantFrom('1', '1.0', '{"a":1}', '{"a": 1.00}', '"x"', 'null'),
  inet: fc.constantFrom('10.0.0.1', '10.0.0.1/32', '10.0.0.0/8', '::1'),
  interval: fc.constantFrom('1 day', '24 hours', '23 hours', '1 month', '30 days'),
}

const quoted = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`
const comparisons = ['eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'isdistinct'] as const
const symbols = { eq: '=', neq: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=', isdistinct: 'is distinct from' } as const

const settings = `set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set bytea_output = 'hex'; set extra_float_digits = 3`

/** The value as the log writes it. */
const written = async (facts: TableFacts, column: string, value: string | null): Promise<string | null> => {
  const type = facts.columns.get(column)?.type.sqlName
  const { rows } = await client.query<{ value: string | null }>(
    `select case when $1::text is not null then format('%s', $1::text::${type}) end as value`,
    [value],
  )
  return rows[0]?.value ?? null
}

const holds = async (ask: ReturnType<typeof createAskPostgres>, test: FilterTest, value: string | null): Promise<boolean> => {
  if (test.where === 'here') return test.holds(value) ?? false
  const [finding] = await ask([{ test, values: [value] }])
  return Array.isArray(finding) ? (finding[0] ?? false) : false
}

const collations: Readonly<Record<string, string>> = { plain: 'collate "C"', loose: 'collate nd' }

describe('filters', () => {
  it('RT-1: say what Postgres says of the same value, for every type and comparison', async () => {
    const { compile, tables, ask } = open()
    await client.query(settings)
    const facts = (await tables.find('public', 'kinds')) as TableFacts
    const columns = Object.keys(values)
    const cases = fc
      .record({ column: fc.constantFrom(...columns), operator: fc.constantFrom(...comparisons), negated: fc.boolean() })
      .chain((one) =>
        fc.record({
          one: fc.constant(one),
          operand: values[one.column] as fc.Arbitrary<string>,
          value: fc.option(values[one.column] as fc.Arbitrary<string>, { freq: 8 }),
        }),
      )
    await fc.assert(
      fc.asyncProperty(cases, async ({ one: { column, operator, negated }, operand, value }) => {
        const [term] = parseFilter(`${column}=${negated ? 'not.' : ''}${operator}.${quoted(operand)}`)
        const found = facts.columns.get(column)
        if (!term || !found) throw new Error('no such column')
        const test = await compile(term, found)
        const { rows } = await client.query<{ held: boolean | null }>(
          `select ${negated ? 'not' : ''} (($1::text::${found.type.sqlName}) ${collations[column] ?? ''} ${symbols[operator]} $2::text::${found.type.sqlName}) as held`,
          [value, operand],
        )
        expect(await holds(ask, test, await written(facts, column, value))).toBe(rows[0]?.held ?? false)
      }),
      { numRuns: 700 },
    )
  })

  it('RT-1: say what Postgres says of lists, with nulls and quotes in them', async () => {
    const { compile, tables, ask } = open()
    await client.query(settings)
    const facts = (await tables.find('public', 'kinds')) as TableFacts
    const columns = ['int4', 'numeric', 'text', 'uuid', 'bpchar', 'citext', 'timestamptz', 'mood']
    const cases = fc.record({ column: fc.constantFrom(...columns), negated: fc.boolean() }).chain((one) =>
      fc.record({
        one: fc.constant(one),
        list: fc.array(fc.option(values[one.column] as fc.Arbitrary<string>, { freq: 6 }), { maxLength: 4 }),
        value: fc.option(values[one.column] as fc.Arbitrary<string>, { freq: 8 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(cases, async ({ one: { column, negated }, list, value }) => {
        const elements = list.map((element) => (element === null ? 'NULL' : quoted(element))).join(',')
        const [term] = parseFilter(`${column}=${negated ? 'not.' : ''}in.(${elements})`)
        const found = facts.columns.get(column)
        if (!term || !found) throw new Error('no such column')
        const test = await compile(term, found)
        const { rows } = await client.query<{ held: boolean | null }>(
          `select ${negated ? 'not' : ''} ($1::text::${found.type.sqlName} = any ($2::text::${found.type.sqlName}[])) as held`,
          [value, `{${elements}}`],
        )
        expect(await holds(ask, test, await written(facts, column, value))).toBe(rows[0]?.held ?? false)
      }),
      { numRuns: 250 },
    )
  })

  it('RT-1: match patterns as Postgres does', async () => {
    const { compile, tables, ask } = open()
    const facts = (await tables.find('public', 'kinds')) as TableFacts
    const pieces = fc.constantFrom('a', 'b', 'A', 'ä', '%', '_', '\\%', '\\_', '\\\\', '😀', '.', '*', '^', '$')
    const pattern = fc.array(pieces, { maxLength: 5 }).map((parts) => parts.join(''))
    const cases = fc.record({
      column: fc.constantFrom('text', 'plain', 'varchar', 'citext', 'short', 'bpchar'),
      operator: fc.constantFrom('like', 'ilike', 'match', 'imatch'),
      negated: fc.boolean(),
      pattern,
      value: fc.array(fc.constantFrom('a', 'b', 'A', 'ä', '%', '_', '\\', '😀'), { maxLength: 5 }).map((parts) => parts.join('')),
    })
    const symbol = { like: 'like', ilike: 'ilike', match: '~', imatch: '~*' } as Readonly<Record<string, string>>
    await fc.assert(
      fc.asyncProperty(cases, async ({ column, operator, negated, pattern: operand, value }) => {
        const found = facts.columns.get(column)
        const [term] = parseFilter(`${column}=${negated ? 'not.' : ''}${operator}.${quoted(operand)}`)
        if (!term || !found) throw new Error('no such column')
        const type = found.type.sqlName
        const sql = `select ${negated ? 'not' : ''} ($1::text::${type} ${symbol[operator]} $2::text::${type}) as held`
        const oracle = await client.query<{ held: boolean }>(sql, [value, operand]).catch(() => undefined)
        const test = await compile(term, found).catch(() => undefined)
        if (!oracle || !test) {
          expect(test, `${operator} ${operand}`).toBeUndefined()
          return
        }
        expect(await holds(ask, test, value)).toBe(oracle.rows[0]?.held)
      }),
      { numRuns: 250 },
    )
  })

  it('decide here what can be decided here, so that a lookup finds it', async () => {
    const { compile, tables } = open()
    const facts = (await tables.find('public', 'kinds')) as TableFacts
    const where = async (filter: string) => {
      const [term] = parseFilter(filter)
      const column = facts.columns.get(term?.column ?? '')
      if (!term || !column) throw new Error('no such column')
      const test = await compile(term, column)
      return test.where === 'here' ? (test.keys ?? 'here') : 'postgres'
    }
    expect(await where('int4=eq.07')).toEqual(['7'])
    expect(await where('numeric=in.(1.50,2)')).toEqual(['1.5', '2'])
    expect(await where('uuid=eq.A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')).toEqual(['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'])
    expect(await where('text=eq.a')).toEqual(['a'])
    expect(await where('plain=lt.a')).toBe('here')
    expect(await where('text=lt.a')).toBe('postgres')
    expect(await where('loose=eq.a')).toBe('postgres')
    expect(await where('citext=eq.a')).toBe('postgres')
    expect(await where('mood=lt.ok')).toBe('postgres')
    expect(await where('bool=is.true')).toBe('here')
  })

  it.each([
    ['int4=eq.x', 'invalid input syntax for type integer: "x"'],
    ['int4=is.true', 'is true filter requires a boolean column, got int4'],
    ['int4=is.maybe', 'invalid value for is filter: must be null, true, false, or unknown'],
    ['int4=like.a', 'operator like is not supported on column int4'],
    ['text=match.(', 'operator match is not supported on column text'],
    [`int4=in.(${Array.from({ length: 101 }, (_, index) => index).join(',')})`, 'too many values for `in` filter. Maximum 100'],
  ])('%s is refused', async (filter, message) => {
    const { compile, tables } = open()
    const facts = (await tables.find('public', 'kinds')) as TableFacts
    const [term] = parseFilter(filter)
    const column = facts.columns.get(term?.column ?? '')
    if (!term || !column) throw new Error('no such column')
    await expect(compile(term, column)).rejects.toMatchObject({
      code: 'TM_REALTIME_FILTER',
      message: expect.stringContaining(message),
    })
  })
})
