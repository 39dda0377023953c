import { beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import type { Catalogue, SqlFunction } from '../catalogue.js'
import { type FunctionCall, findFunction } from './find-function.js'
import { readCatalogue } from './read-catalogue.js'

const database = useDatabase()
const client = useClient(database)
const read = (schemas = ['f']): Promise<Catalogue> => readCatalogue(client, { schemas, timezones: new Set() })

/** A function on one line. */
const line = ({ name, arguments: given, returns }: SqlFunction): string => {
  const list = given.map((a) => `${a.variadic ? 'variadic ' : ''}${a.name} ${a.type}${a.required ? '' : '?'}`)
  const columns = [...returns.columns.values()].map((column) => `${column.name} ${column.type}`)
  const relation = returns.relation ? ` of ${returns.relation.schema}.${returns.relation.name}` : ''
  const many = returns.set ? (returns.single ? 'one of ' : 'many ') : ''
  return `${name}(${list.join(', ')}) ${many}${returns.kind} ${returns.type}${relation} [${columns.join(', ')}]`
}

beforeAll(() =>
  client.query(`
    create schema f; create schema other;
    create table f.books (id int primary key, title text not null, price numeric(10,2));
    create table other.secrets (id int, s text);
    create type f.pair as (a int, b varchar(7));
    create domain f.pair_domain as f.pair;
    create domain f.pair_domain2 as f.pair_domain;
    create domain f.positive as int default 5 check (value > 0);
    comment on schema f is 'F';

    create function f.nothing() returns void language sql as '';
    create function f.scalar(a int, b text default 'x', c f.positive default 1) returns f.positive language sql immutable as 'select 1';
    create function f.chars(a char, b bit, c varchar[], "Odd ""name""" char[]) returns char language sql as $$select 'a'::char$$;
    create function f.variadic_one(variadic v text[] default '{}') returns int language sql as 'select 1';
    create function f.all_books() returns setof f.books language sql stable rows 10 as 'select * from f.books';
    create function f.one_book() returns setof f.books language sql rows 1 as 'select * from f.books';
    create function f.single_book() returns f.books language sql as 'select * from f.books';
    create function f.pairs() returns setof f.pair language sql as 'select 1, ''a''::varchar';
    create function f.domain_pair() returns f.pair_domain2 language sql as 'select row(1, ''a'')::f.pair_domain2';
    create function f.secrets() returns setof other.secrets language sql as 'select * from other.secrets';
    create function f.table_of(n int) returns table (x int, y f.pair, z f.positive) language sql as 'select 1, null::f.pair, 1::f.positive';
    create function f.table_of_one() returns table (x int) language sql as 'select 1';
    create function f.outs(out a int, in b text, inout c int, out d numeric) language sql as 'select 1, c, 1.0';
    create function f.one_out(a int, out b text) language sql as 'select ''x''';
    create function f.unnamed_outs(out int, out text) language sql as 'select 1, ''x''';
    create function f.anonymous() returns record language sql as 'select 1, 2';
    create function f.anonymous_set() returns setof record language sql as 'select 1, 2';
    create function f.any_type(a anyelement) returns anyelement language sql as 'select a';
    create function f.with_settings() returns int language sql security definer set search_path = '' set statement_timeout = '5s'
      set default_transaction_isolation = 'repeatable read' as 'select 1';
    comment on function f.with_settings() is E'Summary\\nBody';

    create function f.body(json) returns int language sql as 'select 1';
    create function f.body(text) returns int language sql as 'select 1';
    create function f.body(xml) returns int language sql as 'select 1';
    create function f.body(bytea) returns int language sql as 'select 1';
    create function f.body(a int) returns int language sql as 'select 1';
    create function f.named_json(j json) returns int language sql as 'select 1';
    create function f.two_bodies(json) returns int language sql as 'select 1';
    create function f.two_bodies(jsonb) returns int language sql as 'select 1';
    create function f.unnamed(int) returns int language sql as 'select 1';
    create function f.half_named(a int, int) returns int language sql as 'select 1';

    create function f.over() returns text language sql as $$select 'none'$$;
    create function f.over(a int) returns text language sql as $$select 'a'$$;
    create function f.over(a int, b int) returns text language sql as $$select 'ab'$$;
    create function f.over(b text, c int default 1) returns text language sql as $$select 'bc'$$;
    create function f.ambiguous(a text) returns text language sql as $$select 'text'$$;
    create function f.ambiguous(a int, b int default 1) returns text language sql as $$select 'int'$$;
    create function f.ambiguous(a char) returns text language sql as $$select 'char'$$;

    create procedure f.proc() language sql as '';
    create function f.trig() returns trigger language plpgsql as 'begin return null; end';
    create aggregate f.agg(int) (sfunc = int4pl, stype = int);
  `),
)

describe('functions', () => {
  it('have arguments that go in, and a result of known shape', async () => {
    const catalogue = await read()
    const once = catalogue.allFunctions('f').filter(({ name }) => !/^(over|ambiguous|body|two_bodies)$/.test(name))
    expect(once.map(line).toSorted()).toEqual(
      [
        'nothing() void void []',
        'scalar(a integer, b text?, c f.positive?) scalar f.positive []',
        'chars(a bpchar, b "bit", c character varying[], Odd "name" bpchar[]) scalar bpchar []',
        'variadic_one(variadic v text[]?) scalar integer []',
        'all_books() many row f.books of f.books [id integer, title text, price numeric(10,2)]',
        'one_book() one of row f.books of f.books [id integer, title text, price numeric(10,2)]',
        'single_book() row f.books of f.books [id integer, title text, price numeric(10,2)]',
        'pairs() many row f.pair [a integer, b character varying(7)]',
        'domain_pair() row f.pair_domain2 [a integer, b character varying(7)]',
        'secrets() many row other.secrets [id integer, s text]',
        'table_of(n integer) many row record [x integer, y f.pair, z f.positive]',
        'table_of_one() many row integer [x integer]',
        'outs(b text, c integer) row record [a integer, c integer, d numeric]',
        'one_out(a integer) row text [b text]',
        'unnamed_outs() row record [column1 integer, column2 text]',
        'anonymous() scalar record []',
        'anonymous_set() many scalar record []',
        'any_type(a anyelement) scalar anyelement []',
        'with_settings() scalar integer []',
        'named_json(j json) scalar integer []',
      ].toSorted(),
    )
  })

  it('have the columns that Postgres gives', async () => {
    const catalogue = await read()
    const shapes = catalogue
      .allFunctions('f')
      .filter(({ returns, arguments: given }) => returns.columns.size > 0 && given.length === 0)
    expect(shapes.length).toBeGreaterThan(6)
    for (const { name, returns } of shapes) {
      const { fields } = await client.query(`select * from f.${name}()`)
      expect(fields.map((field) => field.name)).toEqual([...returns.columns.keys()])
    }
  })

  it('tell volatility, own settings of the whole transaction, owner rights and comment', async () => {
    const [known] = (await read()).functions('f', 'with_settings')
    expect(known).toMatchObject({ volatility: 'volatile', securityDefiner: true, description: 'Summary\nBody' })
    expect([...known!.settings]).toEqual([
      ['statement_timeout', '5s'],
      ['default_transaction_isolation', 'repeatable read'],
    ])
    const catalogue = await read()
    expect(catalogue.functions('f', 'scalar')[0]?.volatility).toBe('immutable')
    expect(catalogue.functions('f', 'all_books')[0]?.volatility).toBe('stable')
  })

  it('that no request can call do not count, nor do procedures, aggregates and triggers', async () => {
    const catalogue = await read()
    for (const name of ['unnamed', 'half_named', 'proc', 'trig', 'agg']) expect(catalogue.functions('f', name)).toEqual([])
    expect(catalogue.functions('other', 'anything')).toEqual([])
  })
})

describe('the function that a call means', () => {
  const find = async (name: string, keys: readonly string[], body?: FunctionCall['body']) =>
    findFunction(await read(), { schema: 'f', name, keys, body })
  const chosen = async (...call: Parameters<typeof find>): Promise<string> => {
    const found = await find(...call)
    return `${found.name}(${found.arguments.map((a) => `${a.name} ${a.type}`.trim()).join(', ')})`
  }

  it('is the overload with the arguments that are given', async () => {
    expect(await chosen('over', [])).toBe('over()')
    expect(await chosen('over', ['a'])).toBe('over(a integer)')
    expect(await chosen('over', ['b', 'a'])).toBe('over(a integer, b integer)')
    expect(await chosen('over', ['b'])).toBe('over(b text, c integer)')
    expect(await chosen('over', ['c', 'b'])).toBe('over(b text, c integer)')
    expect(await chosen('scalar', ['a'])).toBe('scalar(a integer, b text, c f.positive)')
    expect(await chosen('variadic_one', [])).toBe('variadic_one(v text[])')
  })

  it('is one whose single unnamed argument takes the body, where no name fits', async () => {
    expect(await chosen('body', ['x', 'y'], 'json')).toBe('body(json)')
    expect(await chosen('body', [], 'text')).toBe('body(text)')
    expect(await chosen('body', [], 'xml')).toBe('body(xml)')
    expect(await chosen('body', [], 'octets')).toBe('body(bytea)')
    expect(await chosen('body', ['a'], 'json')).toBe('body(a integer)')
    await expect(find('body', ['x'])).rejects.toMatchObject({ code: 'PGRST202' })
    await expect(find('named_json', [], 'json')).rejects.toMatchObject({ code: 'PGRST202' })
    await expect(find('over', [], 'text')).rejects.toMatchObject({ code: 'PGRST202', hint: null })
  })

  it('cannot be told where several fit equally, which are listed in an order that does not depend on their age', async () => {
    await expect(find('ambiguous', ['a'])).rejects.toMatchObject({
      code: 'PGRST203',
      status: 300,
      message:
        'Could not choose the best candidate function between: f.ambiguous(a => character), f.ambiguous(a => text), f.ambiguous(a => integer, b => integer)',
      hint: 'Try renaming the parameters or the function itself in the database so function overloading can be resolved',
    })
    await expect(find('two_bodies', [], 'json')).rejects.toMatchObject({ code: 'PGRST203' })
  })

  it('that is not there is answered with one that was probably meant', async () => {
    await expect(find('scalr', ['a', 'b'])).rejects.toMatchObject({
      code: 'PGRST202',
      status: 404,
      message: 'Could not find the function f.scalr(a, b) in the schema cache',
      hint: 'Perhaps you meant to call the function f.scalar',
    })
    await expect(find('scalar', ['aa', 'b', 'c'])).rejects.toMatchObject({
      hint: 'Perhaps you meant to call the function f.scalar(a, b, c)',
    })
    await expect(find('somethingelse', [])).rejects.toMatchObject({ hint: null })
  })
})
