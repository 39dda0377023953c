import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { propertyRuns } from '../../testing/property-runs.js'
import type { Catalogue } from '../catalogue.js'
import { readCatalogue } from './read-catalogue.js'

const database = useDatabase()
const client = useClient(database)
let catalogue: Catalogue

beforeAll(async () => {
  await client.query(`
    create schema n; create schema "N.x"; create schema far;
    create type n.mood as enum ('a'); create domain n.positive as int check (value > 0); create type n.pair as (a int, b text);
    create type n."Mixed ""Case""" as enum ('b'); create domain n."integer" as text; create type "N.x"."[]" as enum ('c');
    create type far.hidden as enum ('d'); create table n.books (id int); create type n.span as range (subtype = float8);
    create type n."table" as enum ('e'); create type n.shell;
    -- As extensions make types with modifiers of their own.
    create type n.sized;
    create function n.sized_in(cstring, oid, int) returns n.sized immutable strict language internal as 'varcharin';
    create function n.sized_out(n.sized) returns cstring immutable strict language internal as 'varcharout';
    create type n.sized (input = n.sized_in, output = n.sized_out, typmod_in = varchartypmodin, typmod_out = varchartypmodout, like = varchar);`)
  catalogue = await readCatalogue(client, { schemas: ['n', 'N.x'], extraSearchPath: [], timezones: new Set() })
})

/** Number and modifier of the type that a text is, as the only type of a cast; undefined where Postgres does not read it as one. */
const asPostgresReads = async (type: string): Promise<string | undefined> => {
  try {
    const { rows, fields } = await client.query(`select x from (select null::${type} as x) as one`)
    const [field, ...others] = fields
    return field && others.length === 0 && rows.length === 1 ? `${field.dataTypeID} ${field.dataTypeModifier}` : undefined
  } catch {
    return undefined
  }
}

const known: readonly (readonly [string, string])[] = [
  ['int', 'integer'],
  ['INTEGER', 'integer'],
  ['int4', 'integer'],
  ['int2', 'smallint'],
  ['bigint', 'bigint'],
  ['float8', 'double precision'],
  ['double  precision', 'double precision'],
  ['float(3)', 'real'],
  ['float(25)', 'double precision'],
  ['real', 'real'],
  ['bool', 'boolean'],
  ['boolean', 'boolean'],
  ['text', 'text'],
  ['varchar', 'character varying'],
  ['varchar(20)', 'character varying(20)'],
  ['character varying (20)', 'character varying(20)'],
  ['national character varying(3)', 'character varying(3)'],
  ['char', 'character(1)'],
  ['char(7)', 'character(7)'],
  ['bpchar', 'bpchar'],
  ['"char"', '"char"'],
  ['bit', 'bit(1)'],
  ['bit(3)', 'bit(3)'],
  ['bit varying(3)', 'bit varying(3)'],
  ['varbit', 'bit varying'],
  ['numeric', 'numeric'],
  ['numeric(10,2)', 'numeric(10,2)'],
  ['decimal(5)', 'numeric(5)'],
  ['timestamptz', 'timestamp with time zone'],
  ['timestamptz(3)', 'timestamp(3) with time zone'],
  ['timestamp', 'timestamp without time zone'],
  ['timestamp(0) with time zone', 'timestamp(0) with time zone'],
  ['time with time zone', 'time with time zone'],
  ['interval(2)', 'interval(2)'],
  ['date', 'date'],
  ['json', 'json'],
  ['jsonb[]', 'jsonb[]'],
  ['int[3][4]', 'integer[]'],
  ['_int4', 'integer[]'],
  ['varchar(5)[]', 'character varying(5)[]'],
  ['pg_catalog.int4', 'integer'],
  ['pg_catalog.bit', '"bit"'],
  ['mood', 'n.mood'],
  ['MOOD', 'n.mood'],
  ['n.mood[]', 'n.mood[]'],
  ['"n"."mood"', 'n.mood'],
  ['positive', 'n.positive'],
  ['n."integer"', 'n."integer"'],
  ['"Mixed ""Case"""', 'n."Mixed ""Case"""'],
  ['"N.x"."[]"[]', '"N.x"."[]"[]'],
  ['far.hidden', 'far.hidden'],
  ['books', 'n.books'],
  ['span', 'n.span'],
  ['uuid', 'uuid'],
  ['n.sized(3)', 'n.sized(3)'],
  ['sized(3)[]', 'n.sized(3)[]'],
  ['regclass', 'regclass'],
  ['information_schema.yes_or_no', 'information_schema.yes_or_no'],
]

const unknown: readonly string[] = [
  '',
  ' ',
  'nothing',
  'hidden',
  'anyelement',
  'record',
  'void',
  'cstring',
  'shell',
  'Mixed "Case"',
  '"INT"',
  '"varchar(20)"',
  'pg_toast.pg_toast_1',
  'int4(3)',
  'text(3)',
  'varchar(0)',
  'varchar(-1)',
  'varchar(10485761)',
  'varchar(1,2)',
  'varchar(a)',
  'varchar()',
  'numeric(0)',
  'numeric(1001)',
  'numeric(3,2000)',
  'numeric(1,2,3)',
  'timestamptz(7)',
  'float(0)',
  'float(54)',
  '_int4[]',
  '_varchar(3)',
  '_sized(3)',
  'sized("3\'")',
  'positive(3)',
  'mood(3)',
  'int[',
  'int]',
  'int[][][][][][][]',
  'int) from pg_authid; --',
  "int'",
  'int; drop table books',
  'int as x, 1::int',
  'int/*x*/',
  'int--',
  'a.b.c',
  'n.',
  '.n',
  'int collate "C"',
  'setof int',
  'int with time zone',
  'text with time zone',
  'int\0',
  'x'.repeat(301),
]

describe('the name of a type', () => {
  it.each(known)('%s is written %s', async (text, written) => {
    expect(catalogue.typeName(text)).toBe(written)
    expect(await asPostgresReads(written)).toBeDefined()
  })

  it.each(unknown)('%j is none', (text) => {
    expect(catalogue.typeName(text)).toBeUndefined()
  })

  it('means what Postgres takes it to mean', async () => {
    await client.query('set search_path = n, "N.x"')
    for (const [text, written] of known)
      expect([text, await asPostgresReads(text)]).toEqual([text, await asPostgresReads(written)])
  })

  it('is one that Postgres reads as exactly one type, or none, whatever was given', { timeout: 120_000 }, async () => {
    const piece = fc.oneof(
      fc.constantFrom(...known.map(([text]) => text), ...unknown),
      fc.constantFrom(
        '(',
        ')',
        '[',
        ']',
        ',',
        '.',
        '"',
        '""',
        "'",
        ';',
        '--',
        '/*',
        '*/',
        ' ',
        '$$',
        '$1',
        '::',
        '\\',
        '\n',
        '0',
        '-1',
        '%',
        'ä',
      ),
      fc.string({ maxLength: 5, unit: 'binary' }),
      fc.constantFrom('varying', 'with', 'time', 'zone', 'array', 'select', 'n', 'national', '10', '2', 'Point', 'null'),
    )
    const text = fc.oneof(
      piece,
      fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
      fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(' ')),
    )
    let found = 0
    await fc.assert(
      fc.asyncProperty(text, async (given) => {
        const written = catalogue.typeName(given)
        if (written === undefined) return
        found += 1
        expect([written, (await asPostgresReads(written)) !== undefined]).toEqual([written, true])
      }),
      propertyRuns(1_000, 30),
    )
    expect(found).toBeGreaterThan(30)
  })
})
