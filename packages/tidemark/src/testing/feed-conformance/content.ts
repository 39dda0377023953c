import { expect, it } from 'vitest'
import { plain } from './collected.js'
import type { Scene } from './scene.js'

const inPublic = (...tables: string[]) => tables.map((table) => ({ schema: 'public', table }))

/** Values whose text is easily got wrong, by their type. */
const unusual: readonly (readonly [string, string])[] = [
  ['text', `''`],
  ['text', `'NULL'`],
  ['text', String.raw`'\N \n \\ {"a": 1} ''quoted'' "twice"'`],
  ['text', `E'line\\nbreak\\ttab\\r\\x7f'`],
  ['text', `'grüße 🌊 \u0301 日本語 \u{10ffff}'`],
  ['text', `repeat('0123456789', 20000)`],
  ['char(6)', `'ab'`],
  ['boolean', 'true'],
  ['boolean', 'false'],
  ['bigint', '-9223372036854775808'],
  ['numeric', '12345678901234567890.123456789012345678901234567890'],
  ['numeric', `'NaN'`],
  ['numeric(12,4)', '1'],
  ['double precision', '0.1::float8 + 0.2::float8'],
  ['double precision', `'-Infinity'`],
  ['real', '1e-30'],
  ['timestamptz', `'2024-02-29 23:59:59.999999+05:30'`],
  ['timestamptz', `'infinity'`],
  ['timestamp', `'0044-03-15 12:00 BC'`],
  ['date', `'2024-01-31'`],
  ['interval', `'1 mon -2 days 03:04:05.6'`],
  ['bytea', String.raw`'\x00ff5c27'`],
  ['json', `'{"b": 1,  "a": [null, "x"]}'`],
  ['jsonb', `'{"b": 1.0, "a": [null, "\\u00e9"]}'`],
  ['uuid', `'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`],
  ['text[]', `array['a,b', '"', null, '']`],
  ['int[]', `'[2:3]={1,2}'`],
  ['int4range', `'[1,5)'`],
  ['inet', `'10.0.0.1/8'`],
]

/** What a change holds. */
export const defineContent = (scene: () => Scene): void => {
  it('FEED-1 gives a transaction whole, with its id, its time and its changes in order', async () => {
    const { sql, follow, commit } = scene()
    await sql.query('create table whole (id int primary key, text text, n int)')
    const { reading } = await follow(inPublic('whole'))
    const given = await commit(reading, [
      `insert into whole values (1, 'one', null), (2, 'two', 2)`,
      `update whole set text = 'eins' where id = 1`,
      'delete from whole where id = 2',
      `insert into whole values (2, 'again', null)`,
    ])
    const table = 'public.whole'
    const [first, second, changed, removed, again] = given.changes.map(plain)
    expect(first).toEqual({ kind: 'insert', table, old: null, new: { id: '1', text: 'one', n: null } })
    expect(second).toEqual({ kind: 'insert', table, old: null, new: { id: '2', text: 'two', n: '2' } })
    expect(changed).toMatchObject({ kind: 'update', table, new: { id: '1', text: 'eins', n: null } })
    expect(removed).toMatchObject({ kind: 'delete', table, old: { id: '2' }, new: null })
    expect(again).toEqual({ kind: 'insert', table, old: null, new: { id: '2', text: 'again', n: null } })
    expect(given.changes).toHaveLength(5)
    expect(Math.abs(given.committedAt.getTime() - Date.now())).toBeLessThan(60_000)
    const relation = given.changes[0]!.relation
    const { rows } = await sql.query(`select 'whole'::regclass::oid::int as oid`)
    expect(relation).toMatchObject({ oid: rows[0].oid, schema: 'public', table: 'whole' })
    expect(relation.columns.map(({ name, typeOid, isKey }) => [name, typeOid, isKey])).toEqual([
      ['id', 23, true],
      ['text', 25, false],
      ['n', 23, false],
    ])
  })

  it('gives the old key where the key changes, and the whole old row under REPLICA IDENTITY FULL', async () => {
    const { sql, follow, commit } = scene()
    await sql.query(`create table keyed (a int, b text, c text, primary key (a, b));
                     create table full_rows (id int primary key, text text, other text); alter table full_rows replica identity full`)
    const { reading } = await follow(inPublic('keyed', 'full_rows'))
    const given = await commit(reading, [
      `insert into keyed values (1, 'x', 'c')`,
      'update keyed set a = 2 where a = 1',
      'delete from keyed',
      `insert into full_rows values (1, 'before', null)`,
      `update full_rows set text = 'after'`,
      'delete from full_rows',
    ])
    const [, moved, gone, , changed, deleted] = given.changes.map(plain)
    expect(moved).toMatchObject({ kind: 'update', old: { a: '1', b: 'x' }, new: { a: '2', b: 'x', c: 'c' } })
    expect(gone).toMatchObject({ kind: 'delete', old: { a: '2', b: 'x' } })
    expect(['c', undefined]).toContain(gone?.old?.c)
    expect(changed).toMatchObject({ old: { id: '1', text: 'before', other: null }, new: { id: '1', text: 'after', other: null } })
    expect(deleted).toMatchObject({ old: { id: '1', text: 'after', other: null }, new: null })
  })

  it('gives old rows of a table without a key', async () => {
    const { sql, follow, commit } = scene()
    await sql.query('create table keyless (a int, b text)')
    const { reading } = await follow(inPublic('keyless'))
    const given = await commit(reading, [
      `insert into keyless values (1, 'x'), (1, 'x')`,
      `update keyless set b = 'y' where ctid = (select min(ctid) from keyless)`,
      `delete from keyless where b = 'x'`,
    ])
    expect(given.changes.slice(2).map(plain)).toMatchObject([
      { kind: 'update', old: { a: '1', b: 'x' }, new: { a: '1', b: 'y' } },
      { kind: 'delete', old: { a: '1', b: 'x' } },
    ])
  })

  it('gives values in the text form of Postgres, NULL apart from every text', async () => {
    const { sql, follow, commit } = scene()
    const columns = unusual.map(([type], index) => `c${index} ${type}`)
    await sql.query(`create table unusual (id int primary key, ${columns.join(', ')})`)
    const { reading } = await follow(inPublic('unusual'))
    const given = await commit(reading, [
      `insert into unusual values (1, ${unusual.map(([, value]) => value).join(', ')})`,
      'insert into unusual (id) values (2)',
    ])
    // format() takes a type's own output, as the protocol does; a cast to text does not always.
    const shown = unusual.map((_none, index) => `format('%s', c${index}) as c${index}`)
    const { rows } = await sql.query(`select '1' as id, ${shown.join(', ')} from unusual where id = 1`)
    const [first, second] = given.changes.map(plain)
    expect(first?.new).toEqual(rows[0])
    expect(Object.values(second?.new ?? {})).toEqual(['2', ...unusual.map(() => null)])
  })

  it('gives a large value that an update left alone as unknown or as it is, never as NULL', async () => {
    const { sql, follow, commit } = scene()
    await sql.query(
      'create table toasted (id int primary key, large text, n int); alter table toasted alter large set storage external',
    )
    const { reading } = await follow(inPublic('toasted'))
    const given = await commit(reading, [
      `insert into toasted values (1, repeat('x', 100000), 1)`,
      'update toasted set n = 2',
      `update toasted set large = repeat('y', 50000)`,
      'update toasted set large = null',
    ])
    const values = given.changes.map((change) => plain(change).new?.large)
    expect(values[0]).toHaveLength(100_000)
    expect([undefined, 'x'.repeat(100_000)]).toContain(values[1])
    expect(values[2]).toBe('y'.repeat(50_000))
    expect(values[3]).toBeNull()
  })

  it('tells that a table was emptied, in its place', async () => {
    const { sql, follow, commit } = scene()
    await sql.query(`create table parents (id int primary key); create table children (id int primary key references parents)`)
    const { reading } = await follow(inPublic('parents', 'children'))
    const given = await commit(reading, [
      'insert into parents values (1), (2)',
      'truncate parents cascade',
      'insert into parents values (1)',
    ])
    const kinds = given.changes.map(({ kind, relation }) => `${kind} ${relation.table}`)
    expect(kinds.slice(0, 2)).toEqual(['insert parents', 'insert parents'])
    expect(kinds.slice(2, 4).sort()).toEqual(['truncate children', 'truncate parents'])
    expect(kinds.slice(4)).toEqual(['insert parents'])
    expect(given.changes[2]).toMatchObject({ old: null, new: null })
  })

  it('leaves out what was rolled back, in part or in whole, and what was written elsewhere', async () => {
    const { sql, follow, commit } = scene()
    await sql.query('create table kept (id int primary key); create table elsewhere (id int primary key)')
    const { reading } = await follow(inPublic('kept'))
    await sql.query('begin; insert into kept values (100); rollback')
    await sql.query('insert into elsewhere values (1)')
    const given = await commit(reading, [
      'insert into kept values (1)',
      'savepoint a; insert into kept values (2); rollback to a',
      'insert into kept values (3)',
      'savepoint b; insert into kept values (4); release b',
      'insert into elsewhere values (2)',
      'do $$ begin insert into kept values (5); raise exception $x$no$x$; exception when others then insert into kept values (6); end $$',
    ])
    expect(given.changes.map((change) => plain(change).new?.id)).toEqual(['1', '3', '4', '6'])
    expect(reading.transactions).toHaveLength(1)
  })

  it('tells each change with the columns that the table had then', async () => {
    const { sql, follow, commit } = scene()
    await sql.query('create table shaped (id int primary key, a text, b text)')
    const { reading } = await follow(inPublic('shaped'))
    const before = await commit(reading, [`insert into shaped values (1, 'a', 'b')`])
    await sql.query('alter table shaped drop column a; alter table shaped rename b to c; alter table shaped add d int default 7')
    const after = await commit(reading, [`insert into shaped values (2, 'c')`, `update shaped set c = 'cc' where id = 1`])
    const within = await commit(reading, [
      `insert into shaped values (3, 'x')`,
      'alter table shaped alter d type text using d::text',
      `insert into shaped values (4, 'y', 'seven')`,
    ])
    expect(before.changes.map((change) => plain(change).new)).toEqual([{ id: '1', a: 'a', b: 'b' }])
    expect(after.changes.map((change) => plain(change).new)).toEqual([
      { id: '2', c: 'c', d: '7' },
      { id: '1', c: 'cc', d: '7' },
    ])
    expect(within.changes.filter(({ kind }) => kind === 'insert').map((change) => plain(change).new)).toEqual([
      { id: '3', c: 'x', d: '7' },
      { id: '4', c: 'y', d: 'seven' },
    ])
    const [old, fresh] = [before.changes[0]!.relation, after.changes[0]!.relation]
    expect(old.oid).toBe(fresh.oid)
    expect(old.columns.map(({ name }) => name)).toEqual(['id', 'a', 'b'])
    expect(within.changes.at(-1)!.relation.columns[2]?.typeOid).toBe(25)
  })

  it('follows tables of odd names in any schema, and no other of the same name', async () => {
    const { sql, follow, commit } = scene()
    const [schema, table] = [`Odd "Schema".x`, `Täble 'of' "quotes"`]
    const name = `"Odd ""Schema"".x"."Täble 'of' ""quotes"""`
    await sql.query(`create schema "Odd ""Schema"".x"; create table ${name} ("The ""Id" int primary key, "ö %s" text);
                     create table "Täble 'of' ""quotes""" (id int primary key)`)
    const { reading } = await follow([{ schema, table }])
    const given = await commit(reading, [`insert into ${name} values (1, 'x')`, `insert into "Täble 'of' ""quotes""" values (9)`])
    expect(given.changes.map(plain)).toEqual([
      { kind: 'insert', table: `${schema}.${table}`, old: null, new: { 'The "Id': '1', 'ö %s': 'x' } },
    ])
  })

  it('gives a large transaction in pieces, and nothing between them', async () => {
    const { sql, connect, follow } = scene()
    await sql.query('create table large (id int primary key, text text)')
    const other = await connect()
    const { reading } = await follow(inPublic('large'))
    await sql.query('begin')
    await sql.query(`insert into large select n, 'row ' || n from generate_series(1, 20000) n`)
    await other.query(`insert into large values (-1, 'between')`)
    await sql.query('commit')
    await other.query(`insert into large values (-2, 'after')`)
    const given = await reading.transaction(({ changes }) => changes.length === 20_000)
    expect(given.pieces.length).toBeGreaterThan(5)
    expect(given.pieces.map(({ last }) => last)).toEqual(given.pieces.map((_piece, index) => index === given.pieces.length - 1))
    expect(new Set(given.changes.map((change) => plain(change).new?.id)).size).toBe(20_000)
    await reading.transaction(({ changes }) => plain(changes[0]!).new?.id === '-2')
    expect(reading.transactions).toHaveLength(3)
  })
}
