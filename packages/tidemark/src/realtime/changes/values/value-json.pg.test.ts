import { beforeAll, describe, expect, it } from 'vitest'
import { openPool } from '../../../feed/sources/outbox/testing/open-outbox.js'
import { bootstrappedTemplate } from '../../../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../../../testing/postgres/use-database.js'
import { useCleanups } from '../../../testing/use-cleanups.js'
import { createForeignJson } from './foreign-json.js'
import { createFindFacts } from './relation-facts.js'
import { createTableCatalogue } from './table-catalogue.js'
import { createTypeCatalogue } from './type-catalogue.js'
import { valueJson } from './value-json.js'

const database = useDatabase({ template: bootstrappedTemplate })
const client = useClient(database)
const cleanups = useCleanups()

beforeAll(async () => {
  await client.query(`
    set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set bytea_output = 'hex'; set extra_float_digits = 3;
    create type mood as enum ('sad', 'ok');
    create domain cents as numeric(12, 2);
    create domain tags as text[];
    create type pair as (a int, "b c" text);
    create type nested as (p pair, list int8[], at timestamptz)`)
})

/** Each value as a literal of its type. */
const values: readonly (readonly [type: string, ...literals: string[]])[] = [
  ['int2', '-3'],
  ['int8', '9223372036854775807', '0'],
  ['numeric', '1.50', '-0.000000000000000000001', '12345678901234567890.123', 'NaN', 'Infinity'],
  ['float4', '0.1', '1e30', 'NaN', '-0'],
  ['float8', '1e300', '-Infinity', '0.30000000000000004', '-0'],
  ['bool', 't', 'f'],
  ['text', '', 'a "b" \\ \n\t', '😀\u2028', '5'],
  ['char(4)', 'ab'],
  ['"char"', 'x'],
  ['name', 'n'],
  ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
  ['date', '2024-01-02', 'infinity', '0044-03-15 BC'],
  ['time', '10:00:00.5'],
  ['timetz', '10:00:00+02'],
  ['timestamp', '2024-01-02 03:04:05.123', '0044-03-15 10:00:00 BC', '-infinity'],
  ['timestamptz', '2024-01-02 03:04:05.123456-07', '0044-03-15 10:00:00+00 BC', 'infinity', '12024-01-01'],
  ['interval', '1 month -3 days 04:05:06'],
  ['json', '{"b": [1, 2.50], "a": null}', '"x"', '12345678901234567890'],
  ['jsonb', '{"b": [1, 2.50], "a": null}', 'null', '12345678901234567890.50'],
  ['int[]', '{1,NULL,3}', '{{1,2},{3,4}}', '{}', '[0:1]={5,6}'],
  ['text[]', '{a,"b, \\"c\\"",NULL,"NULL",""}'],
  ['numeric[]', '{1.50,NaN}'],
  ['jsonb[]', '{"{\\"a\\": 1}",NULL}'],
  ['bytea[]', '{"\\\\x0102"}'],
  ['timestamptz[]', '{"2024-01-02 03:04:05+00"}'],
  ['bool[]', '{t,f}'],
  ['mood', 'ok'],
  ['mood[]', '{sad}'],
  ['cents', '12.3'],
  ['tags', '{a,b}'],
  ['pair', '(1,"x ""y""")', '(,)'],
  ['pair[]', '{"(1,a)"}'],
  ['nested', '("(1,\\"b, c\\")","{1,2}","2024-01-02 03:04:05+00")'],
  ['int4range', '[1,5)'],
  ['inet', '10.0.0.1/8'],
  ['money', '12.50'],
  ['oid', '26'],
  ['xml', '<a/>'],
  ['tsvector', 'a b'],
  ['point', '(1,2)'],
  ['box[]', '{(1,1),(0,0);(2,2),(1,1)}'],
]

const open = () => {
  const { pool, close } = openPool(database.url)
  cleanups.push(close)
  return createTypeCatalogue(pool)
}

const jsonOf = async (types: ReturnType<typeof open>, type: string, literal: string) => {
  const { rows } = await client.query<{ text: string; json: string; oid: number }>(
    `select format('%s', v.v) as text, to_jsonb(v.v)::text as json, pg_typeof(v.v)::oid::int8::float8 as oid from (select $1::text::${type} as v) v`,
    [literal],
  )
  const [row] = rows
  if (!row) throw new Error('no row')
  await types.load([row.oid])
  const facts = types.get(row.oid)
  if (!facts) throw new Error('no type')
  return { told: valueJson(facts)(row.text), wanted: row.json }
}

describe('values', () => {
  it.each(values.flatMap(([type, ...literals]) => literals.map((literal) => [type, literal] as const)))(
    '%s %s is told as to_jsonb tells it',
    async (type, literal) => {
      const { told, wanted } = await jsonOf(open(), type, literal)
      expect(JSON.parse(told)).toEqual(JSON.parse(wanted))
    },
  )

  it('keep all digits of a number', async () => {
    const types = open()
    expect((await jsonOf(types, 'int8', '9223372036854775807')).told).toBe('9223372036854775807')
    expect((await jsonOf(types, 'numeric', '1.50')).told).toBe('1.50')
    expect((await jsonOf(types, 'numeric', '12345678901234567890.123')).told).toBe('12345678901234567890.123')
  })

  it('of extensions become what these say, and their text where they cannot be asked', async () => {
    const { pool, close } = openPool(database.url)
    cleanups.push(close)
    await client.query(
      'create extension if not exists hstore; create table stored (id int primary key, tags hstore, many hstore[])',
    )
    const types = createTypeCatalogue(pool)
    const tables = createTableCatalogue(pool, types)
    const table = await tables.find('public', 'stored')
    const columns = [...(table?.columns.values() ?? [])].map(({ name, type }) => ({
      name,
      typeOid: type.oid,
      typeModifier: -1,
      isKey: name === 'id',
    }))
    const relation = { oid: 1, schema: 'public', table: 'stored', identity: 'default', columns } as const
    const facts = await createFindFacts(tables, types)(relation)
    expect(facts.foreign).toEqual([1, 2])
    const change = { kind: 'insert', relation, old: null, new: ['1', '"a"=>"1", "b"=>NULL', '{"\\"c\\"=>\\"2\\""}'] } as const
    const [made] = await createForeignJson(pool)([{ change, facts }])
    expect([made?.now[0], JSON.parse(made?.now[1] ?? ''), JSON.parse(made?.now[2] ?? '')]).toEqual([
      undefined,
      { a: '1', b: null },
      [{ c: '2' }],
    ])
    const broken = { ...change, new: ['1', 'not one', null] } as const
    expect((await createForeignJson(pool)([{ change: broken, facts }]))[0]?.now[1]).toBeUndefined()
  })

  it('tell bytes in hex alone, as Supabase does', async () => {
    expect((await jsonOf(open(), 'bytea', '\\x00ff')).told).toBe('"00ff"')
  })
})
