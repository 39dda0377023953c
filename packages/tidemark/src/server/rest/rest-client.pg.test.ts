import { beforeAll, describe, expect, it } from 'vitest'
import { useRestServer } from '../testing/use-rest-server.js'

const server = useRestServer()
// The client's types follow a schema that it is generated from; this one has none.
// biome-ignore lint/suspicious/noExplicitAny: every answer is compared as a whole
let db: any
beforeAll(async () => {
  db = await server.client('service')
})

const ids = (data: unknown): readonly number[] => (data as { id: number }[]).map(({ id }) => id)

describe('postgrest-js reads', () => {
  // biome-ignore lint/suspicious/noExplicitAny: a builder of whatever state
  const filters: readonly (readonly [string, (query: any) => any, readonly number[]])[] = [
    ['eq', (q) => q.eq('id', 2), [2]],
    ['neq', (q) => q.neq('id', 2), [1, 3, 4]],
    ['gt', (q) => q.gt('id', 3), [4]],
    ['gte', (q) => q.gte('id', 3), [3, 4]],
    ['lt', (q) => q.lt('id', 2), [1]],
    ['lte', (q) => q.lte('id', 2), [1, 2]],
    ['like', (q) => q.like('title', '%Sea'), [2]],
    ['likeAllOf', (q) => q.likeAllOf('title', ['%Sea', 'The%']), [2]],
    ['likeAnyOf', (q) => q.likeAnyOf('title', ['%Sea', 'Un%']), [2, 4]],
    ['ilike', (q) => q.ilike('title', '%sea'), [2]],
    ['ilikeAllOf', (q) => q.ilikeAllOf('title', ['%sea', 'the%']), [2]],
    ['ilikeAnyOf', (q) => q.ilikeAnyOf('title', ['%sea', 'un%']), [2, 4]],
    ['regexMatch', (q) => q.regexMatch('title', '^The'), [2]],
    ['regexIMatch', (q) => q.regexIMatch('title', '^the'), [2]],
    ['is', (q) => q.is('author_id', null), [4]],
    ['isDistinct', (q) => q.isDistinct('author_id', 1), [3, 4]],
    ['in', (q) => q.in('title', ['Untold', 'a,b', 'c"(d)']), [4]],
    ['notIn', (q) => q.notIn('id', [1, 2]), [3, 4]],
    ['contains', (q) => q.contains('pages', '[1,5]'), [1]],
    ['containedBy', (q) => q.containedBy('pages', '[0,200)'), [1]],
    ['rangeGt', (q) => q.rangeGt('pages', '[0,50)'), [2]],
    ['rangeGte', (q) => q.rangeGte('pages', '[100,200)'), [2]],
    ['rangeLt', (q) => q.rangeLt('pages', '[100,200)'), [1]],
    ['rangeLte', (q) => q.rangeLte('pages', '[0,100)'), [1]],
    ['rangeAdjacent', (q) => q.rangeAdjacent('pages', '[300,400)'), [2]],
    ['overlaps', (q) => q.overlaps('pages', '[50,150)'), [1, 2]],
    ['textSearch', (q) => q.textSearch('words', 'sea | water'), [2, 3]],
    ['textSearch, plain', (q) => q.textSearch('title', 'seas', { type: 'plain', config: 'english' }), [2]],
    ['textSearch, phrase', (q) => q.textSearch('title', 'quiet sea', { type: 'phrase' }), [2]],
    ['textSearch, web', (q) => q.textSearch('title', 'quiet or marks', { type: 'websearch', config: 'english' }), [2, 3]],
    ['match', (q) => q.match({ author_id: 1, stock: 3 }), [1]],
    ['not', (q) => q.not('author_id', 'is', null).not('id', 'in', '(1,2)'), [3]],
    ['or', (q) => q.or('id.eq.1,and(price.lt.8,stock.eq.0)'), [1, 2]],
    ['filter', (q) => q.filter('id', 'in', '(1,3)'), [1, 3]],
    ['order', (q) => q.order('price', { ascending: false, nullsFirst: true }), [4, 1, 3, 2]],
    ['limit', (q) => q.order('id').limit(2), [1, 2]],
    ['range', (q) => q.order('id').range(1, 2), [2, 3]],
  ]

  it.each(filters)('%s', async (_name, build, expected) => {
    const { data, error, status } = await build(db.from('books').select('id'))
    expect({ error, status }).toEqual({ error: null, status: 200 })
    expect(build.toString().includes('order') ? ids(data) : [...ids(data)].sort()).toEqual(expected)
  })

  it('containedBy and overlaps of arrays, contains of JSON', async () => {
    expect(ids((await db.from('authors').select('id').overlaps('tags', ['a', 'z'])).data)).toEqual([1])
    expect(ids((await db.from('authors').select('id').containedBy('tags', ['a', 'b', 'c'])).data)).toEqual([1, 2])
    expect(ids((await db.from('authors').select('id').contains('data', { n: 1 })).data)).toEqual([1])
    expect(ids((await db.from('authors').select('id').eq('data->>n', 2)).data)).toEqual([2])
  })

  it('related rows, filtered, ordered and limited', async () => {
    const { data } = await db
      .from('authors')
      .select('name, books!books_author_id_fkey(title, ...publishers(publisher:name), genres(name))')
      .eq('books.publishers.name', 'North')
      .order('id')
      .order('title', { referencedTable: 'books', ascending: false })
      .limit(1, { referencedTable: 'books' })
      .or('stock.gt.2,stock.is.null', { referencedTable: 'books' })
    expect(data).toEqual([
      { name: 'Ann', books: [{ title: 'Running Tides', publisher: 'North', genres: [{ name: 'novel' }, { name: 'nature' }] }] },
      { name: 'Bob', books: [{ title: 'Marks of Water', publisher: 'North', genres: [{ name: 'nature' }] }] },
      { name: 'Cleo', books: [] },
    ])
  })

  it('single and maybeSingle', async () => {
    expect((await db.from('genres').select('name').eq('id', 1).single()).data).toEqual({ name: 'novel' })
    const none = await db.from('genres').select().eq('id', 99).single()
    expect(none).toMatchObject({
      data: null,
      status: 406,
      error: {
        code: 'PGRST116',
        details: 'The result contains 0 rows',
        hint: null,
        message: 'Cannot coerce the result to a single JSON object',
      },
    })
    expect(await db.from('genres').select().eq('id', 99).maybeSingle()).toMatchObject({ data: null, error: null, status: 200 })
    expect((await db.from('genres').select().eq('id', 1).maybeSingle()).data).toEqual({ id: 1, name: 'novel' })
    expect((await db.from('genres').select().maybeSingle()).error).toMatchObject({ code: 'PGRST116' })
  })

  it('counts, with and without rows', async () => {
    const page = await db.from('books').select('id', { count: 'exact' }).order('id').range(1, 2)
    expect([page.count, page.status, ids(page.data)]).toEqual([4, 206, [2, 3]])
    const head = await db.from('books').select('*', { count: 'exact', head: true })
    expect([head.count, head.data, head.status]).toEqual([4, null, 200])
    expect(typeof (await db.from('books').select('*', { count: 'planned', head: true })).count).toBe('number')
    expect((await db.from('books').select('*', { count: 'estimated' })).count).toBe(4)
    expect(await db.from('books').select('id', { count: 'exact' }).range(9, 10)).toMatchObject({
      status: 416,
      error: { code: 'PGRST103', message: 'Requested range not satisfiable' },
    })
  })

  it('csv, nulls stripped, plans', async () => {
    expect((await db.from('genres').select().order('id').limit(1).csv()).data).toBe('id,name\n1,novel')
    expect((await db.from('books').select('id, price').eq('id', 4).stripNulls()).data).toEqual([{ id: 4 }])
    expect((await db.from('books').select('id, price').eq('id', 4).stripNulls().single()).data).toEqual({ id: 4 })
    expect((await db.from('genres').select().explain()).data).toMatch(/Aggregate/)
    expect((await db.from('genres').select().explain({ format: 'json', analyze: true })).data).toMatchObject([{ Plan: {} }])
    expect((await db.from('genres').select().geojson()).error).toMatchObject({ code: '42883' })
  })

  it('gives up when it is told to', async () => {
    const abort = new AbortController()
    const asked = db.rpc('slow').abortSignal(abort.signal)
    abort.abort()
    expect((await asked).error.message).toMatch(/abort/i)
  })

  it('refuses as PostgREST does', async () => {
    expect(await db.from('genre').select()).toMatchObject({
      status: 404,
      error: { code: 'PGRST205', hint: "Perhaps you meant the table 'api.genres'" },
    })
    expect((await db.from('genres').select('nothing')).error).toMatchObject({ code: '42703' })
    expect((await db.schema('private').from('x').select()).error).toMatchObject({ code: 'PGRST106' })
    await expect(db.from('genres').select('nothing').throwOnError()).rejects.toMatchObject({ code: '42703' })
  })
})

describe('postgrest-js writes', () => {
  it('insert, one and many, with their rows or without', async () => {
    expect(await db.from('words').insert({ id: 100, word: 'a' })).toMatchObject({ status: 201, data: null, error: null })
    expect(
      (
        await db
          .from('words')
          .insert([{ id: 101 }, { id: 102 }], { count: 'exact' })
          .select('id')
      ).data,
    ).toEqual([{ id: 101 }, { id: 102 }])
    expect((await db.from('words').insert({ id: 103 }, { count: 'exact' })).count).toBe(1)
    const missing = await db
      .from('pairs')
      .insert(
        [
          { a: 50, b: 1, note: 'x' },
          { a: 50, b: 2 },
        ],
        { defaultToNull: false },
      )
      .select('note')
    expect(missing.data).toEqual([{ note: 'x' }, { note: 'none' }])
    expect((await db.from('words').insert({ id: 104 }).select().single()).data).toEqual({ id: 104, word: null })
    expect(await db.from('words').insert({ id: 100 })).toMatchObject({ status: 409, error: { code: '23505' } })
  })

  it('upsert, merging or ignoring', async () => {
    await db.from('words').insert({ id: 200, word: 'before' })
    expect((await db.from('words').upsert({ id: 200, word: 'after' }).select()).data).toEqual([{ id: 200, word: 'after' }])
    const ignored = await db
      .from('words')
      .upsert(
        [
          { id: 200, word: 'x' },
          { id: 201, word: 'y' },
        ],
        { ignoreDuplicates: true },
      )
      .select()
    expect(ignored.data).toEqual([{ id: 201, word: 'y' }])
    expect((await db.from('words').upsert({ id: 202, word: 'y' }, { onConflict: 'word' }).select()).data).toEqual([
      { id: 202, word: 'y' },
    ])
    expect((await db.from('words').upsert({ id: 202, word: 'z' })).status).toBe(200)
    expect((await db.from('words').upsert({ id: 203, word: 'w' })).status).toBe(201)
  })

  it('update and delete, counted and bounded', async () => {
    await db.from('words').insert([{ id: 300 }, { id: 301 }, { id: 302 }])
    expect(await db.from('words').update({ word: 'u' }).eq('id', 300)).toMatchObject({ status: 204, data: null })
    expect((await db.from('words').update({ word: 'v' }).eq('id', 300).select('word')).data).toEqual([{ word: 'v' }])
    expect(await db.from('words').delete().in('id', [300, 301, 302]).maxAffected(2)).toMatchObject({
      status: 400,
      error: { code: 'PGRST124', details: 'The query affects 3 rows' },
    })
    expect((await db.from('words').delete({ count: 'exact' }).in('id', [300, 301])).count).toBe(2)
    expect((await db.from('words').delete().eq('id', 302).select().single()).data).toEqual({ id: 302, word: null })
    expect((await db.from('words').update({ word: 'x' }).eq('id', 302).select().single()).error).toMatchObject({
      code: 'PGRST116',
    })
  })

  it('rolls back on request', async () => {
    expect((await db.from('words').insert({ id: 400 }).select().rollback()).data).toEqual([{ id: 400, word: null }])
    expect((await db.from('words').select().eq('id', 400)).data).toEqual([])
  })
})

describe('postgrest-js calls', () => {
  it('functions, by POST, GET and HEAD', async () => {
    expect((await db.rpc('add', { a: 1, b: 2 })).data).toBe(3)
    expect((await db.rpc('add', { a: 1 }, { get: true })).data).toBe(11)
    expect(await db.rpc('books_of', { author: 1 }, { head: true, count: 'exact' })).toMatchObject({ data: null, count: 2 })
    expect((await db.rpc('books_of', { author: 1 }, { count: 'exact' }).select('id').order('id').limit(1)).count).toBe(2)
    expect((await db.rpc('books_of', { author: 1 }).select('id').eq('id', 2).single()).data).toEqual({ id: 2 })
    expect((await db.rpc('total', { numbers: [1, 2] })).data).toBe(3)
    expect((await db.rpc('echo_types', { i: 1, t: 'x', j: { y: 1 }, d: '2024-01-01', l: [1], m: 'sad' })).data).toMatchObject({
      l: [1],
    })
    expect(await db.rpc('nothing')).toMatchObject({ data: null, error: null, status: 204 })
    expect((await db.rpc('one_book').select('title')).data).toEqual({ title: 'Running Tides' })
    expect(await db.rpc('fail', { code: 'Teapot' })).toMatchObject({
      status: 418,
      statusText: 'Teapot',
      error: { code: 'PT418', message: 'Teapot', details: 'a detail', hint: 'a hint' },
    })
    expect(await db.rpc('nope', { x: 1 })).toMatchObject({ status: 404, error: { code: 'PGRST202' } })
  })

  it('functions that choose headers and status', async () => {
    const response = await fetch(`${server.url}/rest/v1/rpc/headers`, {
      method: 'POST',
      headers: { apikey: server.keys.service },
    })
    expect([response.status, response.headers.get('x-made'), await response.json()]).toEqual([218, 'here', 'ok'])
  })
})

describe('row security over HTTP (SEC-1)', () => {
  it('shows and changes for each caller what is theirs', async () => {
    const tasks = async (as: 'nobody' | 'anon' | 'ann' | 'bob' | 'service') => {
      // biome-ignore lint/suspicious/noExplicitAny: as above
      const client = (await server.client(as)) as any
      return ((await client.from('todos').select('task').order('id')).data as { task: string }[]).map(({ task }) => task)
    }
    expect(await tasks('nobody')).toEqual(['a two'])
    expect(await tasks('anon')).toEqual(['a two'])
    expect(await tasks('ann')).toEqual(['a one', 'a two'])
    expect(await tasks('bob')).toEqual(['a two', 'b one'])
    expect((await tasks('service')).length).toBe(3)
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const [anon, bob] = [(await server.client('anon')) as any, (await server.client('bob')) as any]
    expect(await anon.from('todos').insert({ task: 'x' })).toMatchObject({ status: 401, error: { code: '42501' } })
    expect(await bob.from('todos').insert({ task: 'x', owner: '00000000-0000-4000-8000-00000000000a' })).toMatchObject({
      status: 403,
      error: { code: '42501' },
    })
    expect((await bob.from('todos').update({ task: 'z' }).eq('task', 'a one').select()).data).toEqual([])
    expect((await bob.rpc('whoami')).data).toMatchObject({
      role: 'authenticated',
      claims: { sub: '00000000-0000-4000-8000-00000000000b' },
    })
  })
})
