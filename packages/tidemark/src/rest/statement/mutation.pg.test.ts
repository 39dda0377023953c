import { describe, expect, it } from 'vitest'
import { type AskOptions, useLibrary, users } from '../testing/use-library.js'

const { ask, sql, admin } = useLibrary()

/** Every test leaves the library as it was. */
const undone = (line: string, body?: unknown, prefer = 'return=representation', more: AskOptions = {}) =>
  ask(line, { ...more, ...(body !== undefined && { body }), headers: { prefer: `tx=rollback, ${prefer}`, ...more.headers } })
const shown = async (line: string, body?: unknown, prefer?: string) =>
  (await undone(line, body, prefer && `return=representation, ${prefer}`)).data

describe('insert', () => {
  it.each([
    ['POST /genres', { id: 9, name: 'x' }, [{ id: 9, name: 'x' }]],
    [
      'POST /genres',
      [
        { id: 9, name: 'x' },
        { id: 10, name: 'y' },
      ],
      [
        { id: 9, name: 'x' },
        { id: 10, name: 'y' },
      ],
    ],
    ['POST /genres?select=n:name', { id: 9, name: 'x' }, [{ n: 'x' }]],
    ['POST /genres?columns=id,name', [{ id: 9, name: 'x', other: 1 }], [{ id: 9, name: 'x' }]],
    [
      'POST /genres?order=id.desc',
      [
        { id: 9, name: 'x' },
        { id: 10, name: 'y' },
      ],
      [
        { id: 10, name: 'y' },
        { id: 9, name: 'x' },
      ],
    ],
    ['POST /genres', [], []],
    ['POST /keyless', {}, [{ a: null, b: null }]],
    [
      'POST /keyless',
      [{}, {}],
      [
        { a: null, b: null },
        { a: null, b: null },
      ],
    ],
    ['POST /pairs?select=note', { a: 5, b: 5 }, [{ note: 'none' }]],
    [
      'POST /pairs?columns=a,b,note&select=note',
      [
        { a: 5, b: 5 },
        { a: 5, b: 6, note: 'x' },
      ],
      [{ note: null }, { note: 'x' }],
    ],
    ['POST /strict?select=*', { id: 7 }, [{ id: 7, parent: null, made: 14 }]],
    ['POST /cheap_books?select=title,price', { title: 'T', price: 3 }, [{ title: 'T', price: 3 }]],
    [
      'POST /books?select=title,authors!books_author_id_fkey(name,initials)',
      { title: 'T', author_id: 2 },
      [{ title: 'T', authors: { name: 'Bob', initials: 'B' } }],
    ],
    [
      'POST /authors?select=name,initials,same_mood(name),best_book(id)',
      { name: 'Dora', mood: 'happy' },
      [{ name: 'Dora', initials: 'D', same_mood: [{ name: 'Ann' }], best_book: null }],
    ],
    [
      'POST /books?select=count(),author_id',
      [
        { title: 'a', author_id: 1 },
        { title: 'b', author_id: 1 },
      ],
      [{ count: 2, author_id: 1 }],
    ],
  ])('%s %j', async (line, body, expected) => {
    expect(await shown(line, body)).toEqual(expected)
  })

  it('reads every value by the type of its column', async () => {
    const author = {
      id: 77,
      name: 'Ünï "q" \\ \u2028',
      born: '2000-02-29',
      mood: 'sad',
      home: { street: 'S', city: 'C' },
      tags: ['x', null, 'a,b'],
      data: { deep: [1, { a: null }], big: 12345678901234567890n.toString() },
      note: { z: 1, a: [] },
    }
    const { result } = await undone('POST /authors', author)
    expect(result.body).toBe(
      `[${JSON.stringify({ ...author, data: { big: author.data.big, deep: author.data.deep } }).replace('"data":{"big":"12345678901234567890","deep":[1,{"a":null}]}', '"data":{"big": "12345678901234567890", "deep": [1, {"a": null}]}')}]`,
    )
    const [row] = (await shown('POST /books?select=pages,price,added', {
      title: 'T',
      pages: '[1,3]',
      price: '1.239',
      added: '2024-01-01T00:00:00+02:00',
    })) as object[]
    expect(row).toEqual({ pages: '[1,4)', price: 1.24, added: '2023-12-31T22:00:00+00:00' })
  })

  it('takes defaults for missing keys where that is asked for, and null for a null', async () => {
    const body = [
      { a: 5, b: 1 },
      { a: 5, b: 2, note: null },
      { a: 5, b: 3, note: 'x' },
    ]
    const notes = (rows: unknown) => (rows as { note: unknown }[]).map(({ note }) => note)
    expect(notes(await shown('POST /pairs?columns=a,b,note', body, 'missing=default'))).toEqual(['none', null, 'x'])
    expect(notes(await shown('POST /pairs?columns=a,b,note', body))).toEqual([null, null, 'x'])
    expect(notes(await shown('POST /pairs?columns=a,b,note', { a: 6, b: 6 }, 'missing=default'))).toEqual(['none'])
    const [book] = (await shown('POST /books?columns=id,title,price,stock', [{ title: 'T' }], 'missing=default')) as {
      id: number
    }[]
    expect(book).toMatchObject({ title: 'T', price: 9.5, stock: 1, id: expect.any(Number) })
  })

  it('works a default out for each row, so that sequences give the numbers that they give elsewhere', async () => {
    const body = [{ id: 9001, title: 'A' }, { title: 'B' }, { id: 9002, title: 'C' }, { title: 'D' }]
    const rows = (await shown('POST /books?columns=id,title&select=id', body, 'missing=default')) as { id: number }[]
    expect(rows[3]!.id - rows[1]!.id).toBe(2)
    expect([rows[0]!.id, rows[2]!.id]).toEqual([9001, 9002])
  })

  it('gives what was asked for back: nothing, the key, or the row', async () => {
    expect((await undone('POST /genres', { id: 9, name: 'x' }, '')).result).toMatchObject({
      body: undefined,
      rows: 1,
      location: undefined,
    })
    const headersOnly = (line: string, body: unknown) => undone(line, body, 'return=headers-only').then(({ result }) => result)
    expect(await headersOnly('POST /genres', { id: 9, name: 'x' })).toMatchObject({ body: undefined, location: [['id', '9']] })
    expect((await headersOnly('POST /pairs', { a: 7, b: 8 })).location).toEqual([
      ['a', '7'],
      ['b', '8'],
    ])
    expect(
      (
        await headersOnly('POST /pairs', [
          { a: 7, b: 8 },
          { a: 7, b: 9 },
        ])
      ).location,
    ).toBeUndefined()
    expect((await headersOnly('POST /keyless', { a: 7 })).location).toBeUndefined()
    expect(
      (
        await undone(
          'POST /genres',
          [
            { id: 9, name: 'x' },
            { id: 8, name: 'y' },
          ],
          'count=exact',
        )
      ).result,
    ).toMatchObject({ rows: 2, total: 2 })
  })

  it.each([
    [
      'POST /genres',
      { id: 9, nme: 'x' },
      { code: 'PGRST204', status: 400, message: "Could not find the 'nme' column of 'genres' in the schema cache" },
    ],
    ['POST /genre', { id: 9 }, { code: 'PGRST205', status: 404, hint: "Perhaps you meant the table 'api.genres'" }],
    ['POST /genres', { id: 1, name: 'x' }, { cause: { code: '23505' } }],
    ['POST /genres', { id: 'x' }, { cause: { code: '22P02' } }],
    ['POST /books', { title: 'x'.repeat(41) }, { cause: { code: '22001' } }],
    ['POST /books', { title: 'x', price: -1 }, { cause: { code: '23514' } }],
    ['POST /strict', { id: 9, made: 1 }, { cause: { code: '428C9' } }],
    ['POST /strict', { id: 9, parent: 99 }, { cause: { code: '23503' } }],
    ['POST /genres?select=nothing', { id: 9, name: 'x' }, { code: '42703', message: 'column genres.nothing does not exist' }],
  ])('%s %j is refused', async (line, body, error) => {
    const before = await sql('select (select count(*) from api.genres) g, (select count(*) from api.strict) s')
    await expect(ask(line, { body, headers: { prefer: 'return=representation' } })).rejects.toMatchObject(error)
    expect(await sql('select (select count(*) from api.genres) g, (select count(*) from api.strict) s')).toEqual(before)
  })

  it('finds what a deferred constraint forbids, even where all is undone anyway', async () => {
    await expect(undone('POST /strict', { id: 9, parent: 99 })).rejects.toMatchObject({ cause: { code: '23503' } })
  })
})

describe('upsert', () => {
  const body = [
    { a: 1, b: 1, note: 'new' },
    { a: 9, b: 9, note: 'more' },
  ]

  it('merges by the primary key, and tells what was new', async () => {
    const { data, result } = await undone('POST /pairs', body, 'return=representation, resolution=merge-duplicates')
    expect(data).toEqual(body)
    expect(result).toMatchObject({ rows: 2, inserted: 1 })
    expect((await undone('POST /pairs', [body[0]], 'resolution=merge-duplicates')).result).toMatchObject({ rows: 1, inserted: 0 })
    expect((await undone('POST /pairs', [body[1]], 'resolution=merge-duplicates')).result).toMatchObject({ rows: 1, inserted: 1 })
  })

  it('ignores what is there already', async () => {
    const { data } = await undone('POST /pairs', body, 'return=representation, resolution=ignore-duplicates')
    expect(data).toEqual([body[1]])
  })

  it('goes by other columns where they are named', async () => {
    const { data } = await undone(
      'POST /words?on_conflict=word',
      { id: 77, word: 'tide' },
      'return=representation, resolution=merge-duplicates',
    )
    expect(data).toEqual([{ id: 77, word: 'tide' }])
    await expect(
      undone('POST /words?on_conflict=nothing', { id: 7, word: 'x' }, 'resolution=merge-duplicates'),
    ).rejects.toMatchObject({
      code: '42703',
      message: 'column "nothing" does not exist',
    })
    await expect(undone('POST /pairs?on_conflict=note', body[0], 'resolution=merge-duplicates')).rejects.toMatchObject({
      cause: { code: '42P10' },
    })
  })

  it('is an insert where there is no key', async () => {
    const { data, result } = await undone('POST /keyless', { a: 1, b: 'x' }, 'return=representation, resolution=merge-duplicates')
    expect(data).toEqual([{ a: 1, b: 'x' }])
    expect(result.inserted).toBe(1)
    expect(result.preferences).toMatchObject({ resolution: undefined, return: 'representation' })
  })
})

describe('PUT', () => {
  it('writes the one row that its URL names', async () => {
    const put = (query: string, body: unknown) => undone(`PUT /pairs?${query}`, body)
    expect(await put('a=eq.1&b=eq.1', { a: 1, b: 1, note: 'n' })).toMatchObject({
      data: [{ a: 1, b: 1, note: 'n' }],
      result: { rows: 1, inserted: 0 },
    })
    expect(await put('a=eq.8&b=eq.1', { a: 8, b: 1, note: 'n' })).toMatchObject({
      data: [{ a: 8, b: 1, note: 'n' }],
      result: { inserted: 1 },
    })
    expect(await put('a=eq.8&b=eq.1', [{ a: 8, b: 1, note: 'n' }])).toMatchObject({ result: { rows: 1 } })
  })

  it.each([
    ['a=eq.1', { a: 1, b: 1 }, 'PGRST105'],
    ['a=eq.1&b=gt.1', { a: 1, b: 1 }, 'PGRST105'],
    ['a=eq.1&b=eq.1&note=eq.x', { a: 1, b: 1 }, 'PGRST105'],
    ['or=(a.eq.1,b.eq.1)', { a: 1, b: 1 }, 'PGRST105'],
    ['a=eq.1&b=eq.1', { a: 1, b: 2 }, 'PGRST115'],
    ['a=eq.1&b=eq.1', { a: 1 }, 'PGRST115'],
    [
      'a=eq.1&b=eq.1',
      [
        { a: 1, b: 1 },
        { a: 1, b: 2 },
      ],
      undefined,
    ],
    ['a=eq.1&b=eq.1', [], 'PGRST115'],
  ])('of %s with %j', async (query, body, code) => {
    const asked = ask(`PUT /pairs?${query}`, { body })
    if (code === undefined) await asked
    else await expect(asked).rejects.toMatchObject({ code })
    expect(await sql('select count(*) from api.pairs')).toEqual([{ count: 2 }])
    await admin.query(`update api.pairs set note = 'first' where a = 1 and b = 1`)
  })
})

describe('update', () => {
  it.each([
    ['PATCH /genres?id=eq.1', { name: 'x' }, [{ id: 1, name: 'x' }]],
    ['PATCH /genres?id=gt.1&order=id.desc&select=id', { name: 'x' }, [{ id: 3 }, { id: 2 }]],
    ['PATCH /genres?id=eq.1&columns=name', { name: 'x', id: 7 }, [{ id: 1, name: 'x' }]],
    ['PATCH /genres?id=eq.1', [{ name: 'x' }], [{ id: 1, name: 'x' }]],
    ['PATCH /genres?id=eq.9', { name: 'x' }, []],
    ['PATCH /genres?id=eq.1', {}, []],
    ['PATCH /genres?id=eq.1', [], []],
    ['PATCH /books?or=(id.eq.1,title.like.Un*)&select=id&order=id', { stock: 8 }, [{ id: 1 }, { id: 4 }]],
    ['PATCH /authors?initials=eq.B&select=name', { name: 'Zed' }, [{ name: 'Zed' }]],
    ['PATCH /authors?data->>n=eq.1&select=id', { note: [1] }, [{ id: 1 }]],
    [
      'PATCH /books?id=eq.1&select=id,authors!books_author_id_fkey(name),genres(name)&genres.order=id',
      { author_id: 2 },
      [{ id: 1, authors: { name: 'Bob' }, genres: [{ name: 'novel' }, { name: 'nature' }] }],
    ],
    ['PATCH /authors?id=eq.2&select=initials', { name: 'Zed' }, [{ initials: 'Z' }]],
    ['PATCH /cheap_books?id=eq.2&select=price', { price: 1 }, [{ price: 1 }]],
    ['PATCH /pairs?a=eq.1&b=eq.1&select=a,note&limit=0', { note: 'x' }, [{ a: 1, note: 'x' }]],
  ])('%s %j', async (line, body, expected) => {
    expect(await shown(line, body)).toEqual(expected)
  })

  it('takes defaults where that is asked for', async () => {
    expect(await shown('PATCH /pairs?b=eq.1&columns=note&select=note', {}, 'missing=default')).toEqual([{ note: 'none' }])
    expect(await shown('PATCH /pairs?b=eq.1&columns=note&select=note', { note: 'x' }, 'missing=default')).toEqual([{ note: 'x' }])
  })

  it('of nothing changes nothing', async () => {
    expect((await undone('PATCH /genres', {}, '')).result).toMatchObject({ rows: 0, body: undefined })
    expect((await undone('PATCH /genres', { name: 'x' }, '')).result.rows).toBe(3)
  })
})

describe('delete', () => {
  it.each([
    ['DELETE /sales?id=eq.1', [{ id: 1, book_id: 1, amount: 10, day: '2024-01-01' }]],
    [
      'DELETE /sales?amount=lt.6&select=id,books(title)&order=id',
      [
        { id: 2, books: { title: 'Running Tides' } },
        { id: 4, books: { title: 'Marks of Water' } },
      ],
    ],
    ['DELETE /sales?id=eq.99', []],
    ['DELETE /cheap_books?id=eq.4', []],
  ])('%s', async (line, expected) => {
    expect(await shown(line)).toEqual(expected)
  })

  it('of everything deletes everything', async () => {
    expect((await undone('DELETE /sales', undefined, '')).result.rows).toBe(4)
  })
})

describe('what would concern too many rows', () => {
  const counts = () =>
    sql('select (select count(*) from api.sales) s, (select count(*) from api.genres) g, (select min(name) from api.genres) n')

  it.each([
    ['DELETE /sales?id=lt.4', undefined, 'handling=strict, max-affected=2', 'PGRST124', 'The query affects 3 rows'],
    ['PATCH /genres', { name: 'x' }, 'handling=strict, max-affected=0', 'PGRST124', 'The query affects 3 rows'],
    [
      'POST /rpc/rename_author',
      { author: 1, name: 'X' },
      'handling=strict, max-affected=0',
      'PGRST124',
      'The query affects 1 rows',
    ],
  ])('%s %j stays undone', async (line, body, prefer, code, details) => {
    const before = await counts()
    await expect(ask(line, { ...(body && { body }), headers: { prefer } })).rejects.toMatchObject({ code, details, status: 400 })
    expect(await counts()).toEqual(before)
    expect(await sql('select name from api.authors where id = 1')).toEqual([{ name: 'Ann' }])
  })

  it('is done where nobody takes it at its word, or it is few enough', async () => {
    expect((await undone('DELETE /sales', undefined, 'max-affected=1')).result.rows).toBe(4)
    const { rows, preferences } = (await undone('DELETE /sales', undefined, 'handling=strict, max-affected=4')).result
    expect([rows, preferences.maxAffected]).toEqual([4, 4])
    await expect(
      ask('POST /rpc/add', { body: { a: 1 }, headers: { prefer: 'handling=strict, max-affected=1' } }),
    ).rejects.toMatchObject({ code: 'PGRST128' })
  })

  it.each([
    [
      'POST /genres',
      [
        { id: 50, name: 'x' },
        { id: 51, name: 'y' },
      ],
      2,
    ],
    ['PATCH /genres?id=gt.1', { name: 'x' }, 2],
    ['PATCH /genres?id=eq.99', { name: 'x' }, 0],
    ['DELETE /sales?id=lt.4', undefined, 3],
  ])('%s %j stays undone where one object is asked for', async (line, body, rows) => {
    const before = await counts()
    for (const prefer of ['return=representation', 'return=minimal']) {
      const asked = ask(line, { ...(body && { body }), headers: { prefer, accept: 'application/vnd.pgrst.object+json' } })
      await expect(asked).rejects.toMatchObject({ code: 'PGRST116', details: `The result contains ${rows} rows` })
    }
    expect(await counts()).toEqual(before)
  })

  it('is one object where it is one row', async () => {
    const accept = 'application/vnd.pgrst.object+json'
    const { data } = await undone('PATCH /genres?id=eq.1', { name: 'x' }, 'return=representation', {
      headers: { accept, prefer: 'tx=rollback, return=representation' },
    })
    expect(data).toEqual({ id: 1, name: 'x' })
  })
})

describe('the rights of the caller (SEC-1)', () => {
  it('rows are written and read under row security', async () => {
    const todos = async (as: AskOptions['as']) =>
      ((await ask('GET /todos?select=task&order=id', { as: as! })).data as { task: string }[]).map(({ task }) => task)
    expect(await todos(users.anon)).toEqual(['a two'])
    expect(await todos(users.ann)).toEqual(['a one', 'a two'])
    expect(await todos(users.bob)).toEqual(['a two', 'b one'])
    expect((await todos(users.service)).length).toBe(3)
    const write = (line: string, body?: unknown) => undone(line, body, 'return=representation', { as: users.bob })
    expect((await write('PATCH /todos?select=task', { task: 'mine' })).data).toEqual([{ task: 'mine' }])
    expect((await write('DELETE /todos?select=task')).data).toEqual([{ task: 'b one' }])
    expect((await write('POST /todos?select=owner,task', { task: 'new' })).data).toEqual([
      { owner: users.bob.claims.sub, task: 'new' },
    ])
    await expect(write('POST /todos', { task: 'x', owner: users.ann.claims.sub })).rejects.toMatchObject({
      cause: { code: '42501' },
    })
    await expect(undone('POST /todos', { task: 'x' }, '', { as: users.anon })).rejects.toMatchObject({ cause: { code: '42501' } })
    expect((await ask('GET /todos?select=id', { as: users.anon, headers: { prefer: 'count=exact' } })).result.total).toBe(1)
  })

  it('columns are asked for no more than they are needed', async () => {
    const as = users.ann
    expect((await ask('GET /secrets?select=id,public', { as })).data).toEqual([{ id: 1, public: 'shown' }])
    await expect(ask('GET /secrets', { as })).rejects.toMatchObject({ cause: { code: '42501' } })
    await expect(ask('GET /secrets?select=id&code=eq.hidden', { as })).rejects.toMatchObject({ cause: { code: '42501' } })
    expect((await undone('PATCH /secrets?id=eq.1&select=id', { public: 'x' }, 'return=representation', { as })).data).toEqual([
      { id: 1 },
    ])
    expect((await undone('PATCH /secrets?id=eq.1', { public: 'x' }, '', { as })).result.rows).toBe(1)
    expect((await undone('POST /secrets', { id: 2, public: 'x' }, 'return=headers-only', { as })).result.location).toEqual([
      ['id', '2'],
    ])
    await expect(undone('PATCH /secrets?id=eq.1', { public: 'x' }, 'return=representation', { as })).rejects.toMatchObject({
      cause: { code: '42501' },
    })
    await expect(undone('PATCH /secrets?id=eq.1', { code: 'x' }, '', { as })).rejects.toMatchObject({ cause: { code: '42501' } })
  })

  it('a role that the login may not become is refused', async () => {
    await expect(ask('GET /genres', { as: { role: 'postgres', claims: {} } })).rejects.toMatchObject({ cause: { code: '42501' } })
    await expect(ask('GET /genres', { as: { role: 'no"body', claims: {} } })).rejects.toMatchObject({ cause: { code: '22023' } })
  })
})
