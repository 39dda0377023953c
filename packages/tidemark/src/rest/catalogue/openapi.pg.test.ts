import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { openApi, readAccess } from './openapi.js'
import { readCatalogue } from './read-catalogue.js'

const database = useDatabase()
const client = useClient(database)
const role = `reader_${database.name}`

beforeAll(() =>
  client.query(`
    create role "${role}";
    create schema api;
    comment on schema api is E'My API\\n\\nWith a description';
    create type api.size as enum ('s', 'm');
    create domain api.positive as int;
    create table api.authors (id int generated always as identity primary key, name varchar(30) not null default 'x');
    create table api.books (id int primary key, author int references api.authors, size api.size default 's', tags text[], doc jsonb,
      published boolean default true, price numeric(5,2) default 1.5, count api.positive, padded char(2), at timestamptz default now());
    comment on table api.books is E'Books\\n\\nAll of them';
    comment on column api.books.author is 'Who wrote it';
    create view api.totals as select count(*) as n from api.books;
    create table api.closed (id int);
    create table api.one_column (id int, secret text);
    create function api.add(a int, b int default 1, variadic c text[] default '{}') returns int immutable language sql as 'select 1';
    create function api.change(d json) returns void language sql as '';
    create function api.closed_function() returns int language sql as 'select 1';
    comment on function api.add is E'Adds\\nnumbers';
    revoke execute on function api.closed_function() from public;
    grant usage on schema api to "${role}";
    grant select on api.books, api.totals, api.authors to "${role}";
    grant select (id) on api.one_column to "${role}";
  `),
)
afterAll(async () => {
  await client.query(`drop owned by "${role}"; drop role "${role}"`)
})

const describeApi = async (asRole: string | undefined) => {
  const catalogue = await readCatalogue(client, { schemas: ['api'], timezones: new Set() })
  await client.query('begin')
  if (asRole !== undefined) await client.query(`set local role "${asRole}"`)
  const access = await readAccess(client, 'api')
  await client.query('rollback')
  const where = { version: '1.2.3', host: 'localhost:54321', scheme: 'http', basePath: '/rest/v1' } as const
  // As it leaves the process: what is undefined is not there.
  return JSON.parse(JSON.stringify(openApi({ catalogue, schema: 'api', access, ...where })))
}

describe('the description of a schema', () => {
  it('has what the role may see, and nothing else', async () => {
    const document = await describeApi(role)
    expect(Object.keys(document.paths).toSorted()).toEqual([
      '/',
      '/authors',
      '/books',
      '/one_column',
      '/rpc/add',
      '/rpc/change',
      '/totals',
    ])
    expect(Object.keys(document.definitions).toSorted()).toEqual(['authors', 'books', 'one_column', 'totals'])
    const all = await describeApi(undefined)
    expect(Object.keys(all.paths)).toContain('/closed')
    expect(Object.keys(all.paths)).toContain('/rpc/closed_function')
  })

  it('begins as Swagger 2.0, with title and description of the schema', async () => {
    const { paths, definitions, parameters, ...document } = await describeApi(role)
    expect(document).toMatchObject({
      swagger: '2.0',
      info: { title: 'My API', description: 'With a description', version: '1.2.3' },
      host: 'localhost:54321',
      basePath: '/rest/v1',
      schemes: ['http'],
    })
    expect(document['produces']).toContain('application/vnd.pgrst.object+json;nulls=stripped')
    expect([paths, definitions, parameters].every((part) => Object.keys(part).length > 3)).toBe(true)
  })

  it('describes columns with type, format, default, keys and comments', async () => {
    const { definitions } = await describeApi(role)
    expect(definitions.authors).toEqual({
      type: 'object',
      required: ['id', 'name'],
      properties: {
        id: { type: 'integer', format: 'int32', description: 'Note:\nThis is a Primary Key.<pk/>' },
        name: { type: 'string', format: 'character varying', maxLength: 30, default: 'x' },
      },
    })
    expect(definitions.books.description).toBe('Books\n\nAll of them')
    expect(definitions.books.required).toEqual(['id'])
    expect(definitions.books.properties).toEqual({
      id: { type: 'integer', format: 'int32', description: 'Note:\nThis is a Primary Key.<pk/>' },
      author: {
        type: 'integer',
        format: 'int32',
        description: "Who wrote it\n\nNote:\nThis is a Foreign Key to `authors.id`.<fk table='authors' column='id'/>",
      },
      size: { type: 'string', format: 'api.size', enum: ['s', 'm'], default: 's' },
      tags: { type: 'array', format: 'text[]', items: { type: 'string' } },
      doc: { format: 'jsonb' },
      published: { type: 'boolean', format: 'boolean', default: true },
      price: { type: 'number', format: 'numeric', default: 1.5 },
      count: { type: 'integer', format: 'int32' },
      padded: { type: 'string', format: 'character', maxLength: 2 },
      at: { type: 'string', format: 'timestamp with time zone', default: 'now()' },
    })
  })

  it('describes what can be done with a table, and only read of a view that takes no rows', async () => {
    const { paths, parameters } = await describeApi(role)
    expect(Object.keys(paths['/books'])).toEqual(['get', 'post', 'patch', 'delete'])
    expect(Object.keys(paths['/totals'])).toEqual(['get'])
    const { get, post } = paths['/books']
    expect(get).toMatchObject({ tags: ['books'], summary: 'Books', description: 'All of them' })
    expect(get.parameters.slice(-7)).toEqual(
      ['select', 'order', 'range', 'rangeUnit', 'offset', 'limit', 'preferCount'].map((name) => ({
        $ref: `#/parameters/${name}`,
      })),
    )
    expect(get.responses).toEqual({
      200: { description: 'OK', schema: { type: 'array', items: { $ref: '#/definitions/books' } } },
      206: { description: 'Partial Content' },
    })
    expect(post.parameters).toEqual(['body.books', 'select', 'preferPost'].map((name) => ({ $ref: `#/parameters/${name}` })))
    for (const { $ref } of [...get.parameters, ...post.parameters]) {
      expect(parameters).toHaveProperty([$ref.replace('#/parameters/', '')])
    }
    expect(parameters['rowFilter.books.author']).toEqual({
      name: 'author',
      description: 'Who wrote it',
      required: false,
      in: 'query',
      type: 'string',
    })
  })

  it('describes functions, to be read where they change nothing', async () => {
    const { paths } = await describeApi(role)
    expect(Object.keys(paths['/rpc/change'])).toEqual(['post'])
    const { get, post } = paths['/rpc/add']
    expect(get).toMatchObject({ tags: ['(rpc) add'], summary: 'Adds', description: 'numbers' })
    expect(get.parameters).toEqual([
      { name: 'a', required: true, in: 'query', type: 'integer', format: 'int32' },
      { name: 'b', required: false, in: 'query', type: 'integer', format: 'int32' },
      {
        name: 'c',
        required: false,
        in: 'query',
        type: 'array',
        collectionFormat: 'multi',
        items: { type: 'string', format: 'text' },
      },
    ])
    expect(post.parameters[0]).toEqual({
      name: 'args',
      required: true,
      in: 'body',
      schema: {
        description: 'Adds\nnumbers',
        type: 'object',
        required: ['a'],
        properties: {
          a: { type: 'integer', format: 'int32' },
          b: { type: 'integer', format: 'int32' },
          c: { type: 'array', format: 'text[]', items: { type: 'string' } },
        },
      },
    })
  })
})
