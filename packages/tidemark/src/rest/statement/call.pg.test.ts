import { beforeAll, describe, expect, it } from 'vitest'
import { useLibrary, users } from '../testing/use-library.js'

const { ask, get, sql, admin, reload } = useLibrary()

describe('a call', () => {
  it.each([
    ['GET /rpc/add?a=1&b=2', undefined, 3],
    ['GET /rpc/add?a=1', undefined, 11],
    ['POST /rpc/add', { a: 1, b: 2 }, 3],
    ['POST /rpc/add', { a: 1 }, 11],
    ['POST /rpc/add', { a: 1, b: null }, null],
    ['POST /rpc/add?columns=a', { a: 1, c: 4 }, 11],
    ['GET /rpc/total?numbers=1&numbers=2&numbers=3', undefined, 6],
    ['POST /rpc/total', { numbers: [1, 2, 3] }, 6],
    ['GET /rpc/numbers?upto=3', undefined, [1, 2, 3]],
    ['GET /rpc/numbers?upto=3&pgrst_scalar=gt.1&order=pgrst_scalar.desc', undefined, [3, 2]],
    ['GET /rpc/numbers?upto=0', undefined, []],
    [
      'GET /rpc/table_of?n=2',
      undefined,
      [
        { id: 1, square: 1 },
        { id: 2, square: 4 },
      ],
    ],
    ['GET /rpc/table_of?n=3&select=sq:square&square=gt.1&order=id.desc&limit=1', undefined, [{ sq: 9 }]],
    ['GET /rpc/stats', undefined, { lowest: 7, highest: 12.5 }],
    ['GET /rpc/stats?select=highest', undefined, { highest: 12.5 }],
    ['GET /rpc/one_book?select=id,title', undefined, { id: 1, title: 'Running Tides' }],
    [
      'GET /rpc/books_of?author=1&select=id,genres(name),...authors!books_author_id_fkey(name)&genres.order=id&order=id.desc',
      undefined,
      [
        { id: 2, genres: [{ name: 'novel' }], name: 'Ann' },
        { id: 1, genres: [{ name: 'novel' }, { name: 'nature' }], name: 'Ann' },
      ],
    ],
    ['POST /rpc/books_of?select=id&title=like.The*', { author: 1 }, [{ id: 2 }]],
    [
      'GET /rpc/echo_types?i=1&t=a "b"&j={"x":[1]}&d=2024-01-01&l={1,2}&m=sad',
      undefined,
      { i: 1, t: 'a "b"', j: { x: [1] }, d: '2024-01-01', l: [1, 2], m: 'sad' },
    ],
    [
      'POST /rpc/echo_types',
      { i: 1, t: 'a', j: { x: [1] }, d: '2024-01-01', l: [1, 2], m: 'sad' },
      { i: 1, t: 'a', j: { x: [1] }, d: '2024-01-01', l: [1, 2], m: 'sad' },
    ],
    [
      'POST /rpc/add',
      [
        { a: 1, b: 2 },
        { a: 4, b: 6 },
      ],
      3,
    ],
    ['POST /rpc/books_of?select=id', [{ author: 1 }, { author: 2 }], [{ id: 1 }, { id: 2 }]],
    ['POST /rpc/echo_json', { any: ['thing'] }, { any: ['thing'] }],
    ['POST /rpc/echo_json', [1, 2], [1, 2]],
  ])('%s %j', async (line, body, expected) => {
    expect((await ask(line, body === undefined ? {} : { body })).data).toEqual(expected)
  })

  it('of several objects happens once', async () => {
    await admin.query(`create sequence api.calls; grant usage on sequence api.calls to anon, authenticated, service_role;
      create function api.called(a int) returns bigint language sql as $$ select nextval('api.calls') $$;
      grant execute on function api.called to anon, authenticated, service_role`)
    await reload()
    expect((await ask('POST /rpc/called', { body: [{ a: 1 }, { a: 2 }, { a: 3 }] })).data).toBe(1)
    expect((await ask('POST /rpc/called', { body: [{ a: 1 }] })).data).toBe(2)
  })

  it('gives rows of no known type as objects', async () => {
    await admin.query(`create function api.some_genre() returns record stable language sql as 'select * from api.genres where id = 1';
      create function api.some_genres() returns setof record stable language sql as 'select * from api.genres where id < 3 order by id';
      grant execute on function api.some_genre, api.some_genres to anon, authenticated, service_role`)
    await reload()
    const genres = (await sql('select * from api.genres where id < 3 order by id')) as readonly unknown[]
    expect((await ask('GET /rpc/some_genre')).data).toEqual(genres[0])
    expect((await ask('POST /rpc/some_genres', { body: {} })).data).toEqual(genres)
  })

  it('takes a form, and a whole body as one argument', async () => {
    const post = async (path: string, type: string, text: string | Buffer, accept = '*/*') =>
      (await ask(`POST /rpc/${path}`, { body: Buffer.from(text), headers: { 'content-type': type, accept } })).result.body
    expect(await post('add', 'application/x-www-form-urlencoded', 'a=4&b=5')).toBe('9')
    expect(await post('echo_text', 'text/plain', 'é "x"')).toBe('"É \\"X\\""')
    expect(await post('echo_text', 'text/plain', 'é', 'text/plain')).toBe('É')
    expect(await post('echo_bytes', 'application/octet-stream', Buffer.from([1, 255, 0]), 'application/octet-stream')).toEqual(
      Buffer.from([1, 255, 0, 0]),
    )
  })

  it('of a function without a result answers nothing', async () => {
    const { result } = await ask('POST /rpc/nothing')
    expect(result).toMatchObject({ nothing: true, body: undefined })
  })

  it('may be for one object, which is one row', async () => {
    const headers = { accept: 'application/vnd.pgrst.object+json' }
    expect(await get('rpc/table_of?n=1', { headers })).toEqual({ id: 1, square: 1 })
    expect(await get('rpc/add?a=1', { headers })).toBe(11)
    await expect(get('rpc/table_of?n=2', { headers })).rejects.toMatchObject({
      code: 'PGRST116',
      details: 'The result contains 2 rows',
    })
  })

  it('of what only reads is read only, by whatever method; by GET, of anything', async () => {
    const readOnly = async (line: string) => ((await ask(line)).data as { read_only: string }).read_only
    expect(await readOnly('GET /rpc/whoami')).toBe('on')
    expect(await readOnly('POST /rpc/whoami')).toBe('on')
    await expect(ask('GET /rpc/rename_author?author=1&name=X')).rejects.toMatchObject({ cause: { code: '25006' } })
    const headers = { prefer: 'tx=rollback' }
    expect((await ask('POST /rpc/rename_author?select=name', { body: { author: 1, name: 'X' }, headers })).data).toEqual([
      { name: 'X' },
    ])
    expect(await sql('select name from api.authors where id = 1')).toEqual([{ name: 'Ann' }])
  })

  it('of a function that writes happens once, even where its rows are counted and embed others', async () => {
    await admin.query(`create function api.noted(text) returns setof api.keyless language sql as
      $$ insert into api.keyless values (7, $1) returning * $$; grant execute on function api.noted to service_role`)
    await admin.query(`create or replace function api.note(said text) returns setof api.keyless language sql as
      $$ insert into api.keyless values (7, said) returning * $$; grant execute on function api.note to service_role`)
    await reload()
    await ask('POST /rpc/note?select=b&limit=1', { body: { said: 'once' }, headers: { prefer: 'count=exact' } })
    expect(await sql(`select count(*) from api.keyless where b = 'once'`)).toEqual([{ count: 1 }])
  })

  it.each([
    ['GET /rpc/adds?a=1', { code: 'PGRST202', status: 404 }],
    ['GET /rpc/add?c=1', { code: 'PGRST202' }],
    ['GET /rpc/add?a=x', { cause: { code: '22P02' } }],
    ['GET /rpc/table_of?n=1&select=nothing', { code: '42703', message: 'column table_of.nothing does not exist' }],
    ['GET /rpc/fail?code=Teapot', { cause: { code: 'PT418', message: 'Teapot', detail: 'a detail', hint: 'a hint' } }],
  ])('%s is refused', async (line, error) => {
    await expect(ask(line)).rejects.toMatchObject(error)
  })
})

describe('the transaction of a request', () => {
  beforeAll(async () => {
    // In this database alone: the role is that of all tests.
    await admin.query(`do $$ begin
      execute format('alter role anon in database %I set statement_timeout = ''70ms''', current_database());
      execute format('alter role anon in database %I set default_transaction_isolation = ''repeatable read''', current_database());
    end $$`)
    await reload()
  })

  it('knows who asks, for what, and how', async () => {
    const headers = { 'x-test': 'é "quoted"', cookie: 'a=1; c=x=y', prefer: 'timezone=Australia/Perth' }
    expect((await ask('POST /rpc/whoami', { as: users.ann, headers, body: {} })).data).toEqual({
      role: 'authenticated',
      claims: { sub: users.ann.claims.sub, role: 'authenticated' },
      method: 'POST',
      path: '/rpc/whoami',
      header: 'é "quoted"',
      cookie: 'x=y',
      zone: 'Australia/Perth',
      read_only: 'on',
      isolation: 'read committed',
      path_of_search: '"api", "public", "extensions"',
      app: 'library',
    })
  })

  it('ends with the settings of the role, or of the function', async () => {
    await expect(ask('POST /rpc/slow')).rejects.toMatchObject({ code: 'TM_POSTGRES_TIMEOUT' })
    expect((await ask('GET /rpc/isolated')).data).toBe('serializable')
    expect((await ask('GET /rpc/whoami', { as: users.anon })).data).toMatchObject({ isolation: 'repeatable read' })
    await admin.query(
      `create or replace function api.sleepy() returns void language sql as $$ select pg_sleep(30) $$; grant execute on function api.sleepy to anon`,
    )
    await reload()
    await expect(ask('POST /rpc/sleepy', { as: users.anon })).rejects.toMatchObject({ code: 'TM_POSTGRES_TIMEOUT' })
  })

  it('says what headers and status it wants', async () => {
    expect((await ask('POST /rpc/headers')).result).toMatchObject({
      responseHeaders: '[{"X-Made": "here"}]',
      responseStatus: '218',
    })
    expect((await ask('GET /genres')).result).toMatchObject({ responseHeaders: undefined, responseStatus: undefined })
  })
})
