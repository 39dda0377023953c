import { describe, expect, it } from 'vitest'
import { useLibrary } from '../testing/use-library.js'

const { get, ask, sql, admin, reload } = useLibrary()

const rowsOf = async (line: string) => (await ask(`GET /${line}`)).data

describe('select', () => {
  it.each([
    ['genres', 'select * from api.genres'],
    ['genres?select=*', 'select * from api.genres'],
    ['genres?select=', 'select * from api.genres'],
    ['authors?select=name,id', 'select name, id from api.authors'],
    ['authors?select=id,*', 'select id, * from api.authors'],
    ['authors?select=who:name,id', 'select name as who, id from api.authors'],
    ['authors?select=id::text,n:id::numeric', 'select id::text, id::numeric as n from api.authors'],
    [
      'authors?select=data->size->>cm,data->langs->1',
      "select data->'size'->>'cm' as cm, data->'langs'->1 as langs from api.authors",
    ],
    ['authors?select=data->langs->>-1', "select data->'langs'->>-1 as langs from api.authors"],
    ['authors?select=n:data->>n::int', "select (data->>'n')::int as n from api.authors"],
    ['authors?select=home->>city,tags->0,home', 'select (home).city, tags[1] as tags, home from api.authors'],
    ['authors?select=note->b,note', "select note->'b' as b, note from api.authors"],
    ['authors?select=initials,name', 'select api.initials(a), name from api.authors a'],
    ['authors?select=initials::varchar', 'select api.initials(a)::varchar from api.authors a'],
    ['cheap_books?select=title', 'select title from api.cheap_books'],
    ['profiles?select="weird \\"name"', 'select "weird ""name" from api.profiles'],
  ])('%s', async (path, hand) => {
    expect(await rowsOf(path)).toEqual(await sql(hand))
  })

  it('keeps the order of keys, and writes one that comes twice twice', async () => {
    const body = async (path: string) => (await ask(`GET /${path}`)).result.body
    expect(await body('genres?select=name,id&id=eq.1')).toBe('[{"name":"novel","id":1}]')
    expect(await body('genres?select=id,name,id&id=eq.1')).toBe('[{"id":1,"name":"novel","id":1}]')
    expect(await body('genres?select=z:name,id,a:id&id=eq.1')).toBe('[{"z" : "novel", "id" : 1, "a" : 1}]')
  })

  it('has no limit of a hundred keys', async () => {
    const keys = Array.from({ length: 130 }, (_, index) => `k${index}`)
    const data = await rowsOf(`genres?id=eq.1&select=${keys.map((key) => `${key}:id`).join(',')}`)
    expect(data).toEqual([Object.fromEntries(keys.map((key) => [key, 1]))])
    expect(Object.keys((data as object[])[0]!)).toEqual(keys)
  })

  it.each([
    [
      'genres?select=nme',
      '42703',
      'column genres.nme does not exist',
      'Perhaps you meant to reference the column "genres.name".',
    ],
    ['genres?select=other', '42703', 'column genres.other does not exist', null],
    ['genres?nothing=eq.1', '42703', 'column genres.nothing does not exist', null],
    ['genres?order=nothing', '42703', 'column genres.nothing does not exist', null],
    ['books?select=id,genres(nothing)', '42703', 'column genres_1.nothing does not exist', null],
    ['genres?select=id::nothing', '42704', 'type "nothing" does not exist', null],
    ['genres?select=id->>a', '', '', null],
  ])('%s is refused as Postgres would', async (path, code, message, hint) => {
    const asked = ask(`GET /${path}`)
    if (code === '') expect((await asked).data).toEqual([{ a: null }, { a: null }, { a: null }])
    else await expect(asked).rejects.toMatchObject({ code, message, hint, status: 400 })
  })
})

describe('filters', () => {
  it.each([
    ['id=eq.1', 'id = 1'],
    ['id=neq.1', 'id <> 1'],
    ['id=gt.1&id=lte.3', 'id > 1 and id <= 3'],
    ['id=gte.2', 'id >= 2'],
    ['id=lt.2', 'id < 2'],
    ['id=not.eq.1', 'not id = 1'],
    ['title=like.*of*', "title like '%of%'"],
    ['title=ilike.*OF*', "title ilike '%OF%'"],
    ['title=match.^The', "title ~ '^The'"],
    ['title=imatch.^the', "title ~* '^the'"],
    ['title=like(any).{*Sea,Mark*}', "title like any('{%Sea,Mark%}')"],
    ['title=ilike(all).{*s*,*E*}', "title ilike all('{%s%,%E%}')"],
    ['id=eq(any).{1,3}', "id = any('{1,3}')"],
    ['id=not.gt(all).{1,2}', "not id > all('{1,2}')"],
    ['id=in.(1,3)', 'id in (1, 3)'],
    ['id=in.()', 'false'],
    ['title=in.("Untold","a,b","c""d")', `title in ('Untold', 'a,b', 'c"d')`],
    ['id=not.in.(1,3)', 'id not in (1, 3)'],
    ['author_id=is.null', 'author_id is null'],
    ['author_id=not.is.null', 'author_id is not null'],
    ['author_id=is.not_null', 'author_id is not null'],
    ['author_id=isdistinct.1', 'author_id is distinct from 1'],
    ['pages=cs.[1,5]', "pages @> '[1,5]'"],
    ['pages=cd.[0,200)', "pages <@ '[0,200)'"],
    ['pages=ov.[50,150)', "pages && '[50,150)'"],
    ['pages=sl.[100,200)', "pages << '[100,200)'"],
    ['pages=sr.[0,50)', "pages >> '[0,50)'"],
    ['pages=nxr.[0,100)', "pages &< '[0,100)'"],
    ['pages=nxl.[100,200)', "pages &> '[100,200)'"],
    ['pages=adj.[300,400)', "pages -|- '[300,400)'"],
    ['words=fts.sea|water', "words @@ to_tsquery('sea|water')"],
    ['words=plfts(english).Seas', "words @@ plainto_tsquery('english', 'Seas')"],
    ['title=fts(english).tide', "to_tsvector('english', title) @@ to_tsquery('english', 'tide')"],
    ['title=phfts.quiet sea', "to_tsvector(title) @@ phraseto_tsquery('quiet sea')"],
    ['title=wfts(english).quiet or marks', "to_tsvector('english', title) @@ websearch_to_tsquery('english', 'quiet or marks')"],
    ['title=not.wfts.quiet', "not to_tsvector(title) @@ websearch_to_tsquery('quiet')"],
    ['or=(id.eq.1,title.like.M*)', "(id = 1 or title like 'M%')"],
    ['and=(id.gt.1,or(id.lt.3,price.is.null))', '(id > 1 and (id < 3 or price is null))'],
    ['not.or=(id.eq.1,id.eq.2)', 'not (id = 1 or id = 2)'],
    ['or=(not.and(id.gt.1,id.lt.4),id.eq.3)', '(not (id > 1 and id < 4) or id = 3)'],
    ['added=eq.2020-02-03T04:05:06Z', "added = '2020-02-03 04:05:06+00'"],
    ['price=gt.9', 'price > 9'],
  ])('%s', async (filter, where) => {
    expect(await rowsOf(`books?select=id&order=id&${filter}`)).toEqual(
      await sql(`select id from api.books where ${where} order by id`),
    )
  })

  it.each([
    ['tags=cs.{b}', "tags @> '{b}'"],
    ['tags=cd.{a,b,c}', "tags <@ '{a,b,c}'"],
    ['tags=ov.{a,z}', "tags && '{a,z}'"],
    ['tags->>0=eq.a', "tags[1] = 'a'"],
    ['data=cs.{"n":1}', `data @> '{"n":1}'`],
    ['data->>n=eq.2', "data->>'n' = '2'"],
    ['data->n=eq.2', "data->'n' = '2'"],
    ['data->n=in.(1,2)', "data->'n' in ('1', '2')"],
    ['data->size->>cm=gt.1', "data->'size'->>'cm' > '1'"],
    ['home->>city=eq.Perth', "(home).city = 'Perth'"],
    ['home=eq.("Main St",Perth)', "home = row('Main St', 'Perth')::api.address"],
    ['home=in.("(\\"Main St\\",Perth)")', "home = row('Main St', 'Perth')::api.address"],
    ['home=isdistinct.(,)', 'home is distinct from row(null, null)::api.address'],
    ['mood=eq.calm', "mood = 'calm'"],
    ['mood=in.(calm,sad)', "mood in ('calm', 'sad')"],
    ['mood=gt.happy', "mood > 'happy'"],
    ['born=lt.1975-01-01', "born < '1975-01-01'"],
    ['initials=eq.B', "left(name, 1) = 'B'"],
    ['initials=in.(A,C)', "left(name, 1) in ('A', 'C')"],
    ['note->>b=eq.1', "note->>'b' = '1'"],
  ])('%s, on a column that is no plain one', async (filter, where) => {
    expect(await rowsOf(`authors?select=id&order=id&${filter}`)).toEqual(
      await sql(`select id from api.authors where ${where} order by id`),
    )
  })

  it.each([
    ['books?id=eq.x', '22P02'],
    ['books?id=like.1*', '42883'],
    ['books?title=is.true', '42804'],
    ['books?title=fts(nothing).x', '42704'],
    ['authors?mood=eq.none', '22P02'],
    ['authors?note=eq.1', '42883'],
  ])('%s is refused by Postgres', async (path, sqlstate) => {
    await expect(ask(`GET /${path}`)).rejects.toMatchObject({ cause: { code: sqlstate } })
  })

  it('compares by the type of the column, so that its index serves', async () => {
    const plan = async (filter: string) =>
      (await ask(`GET /books?${filter}`, { headers: { accept: 'application/vnd.pgrst.plan+text' } })).result.body
    expect(await plan('id=eq.1')).toMatch(/Index (Only )?Scan.*books_pkey[\s\S]*Index Cond: \(id = 1\)/)
    const paper = await ask('GET /papers?paper->>kind=eq.7', { headers: { accept: 'application/vnd.pgrst.plan+text' } })
    expect(paper.result.body).toContain('papers_kind')
    expect(await plan('id=in.(1,2)')).toMatch(/= ANY \('\{1,2\}'::integer\[\]\)/)
  })
})

describe('order, limit and offset', () => {
  it.each([
    ['books?select=id&order=price', 'select id from api.books order by price'],
    ['books?select=id&order=price.desc', 'select id from api.books order by price desc'],
    ['books?select=id&order=price.desc.nullslast,id', 'select id from api.books order by price desc nulls last, id'],
    ['books?select=id&order=price.nullsfirst', 'select id from api.books order by price nulls first'],
    ['authors?select=id&order=data->n.desc.nullslast', "select id from api.authors order by data->'n' desc nulls last"],
    ['authors?select=id&order=home->>city,id.desc', 'select id from api.authors order by (home).city, id desc'],
    ['authors?select=id&order=initials.desc', 'select id from api.authors order by left(name, 1) desc'],
    ['authors?select=who:name&order=who.desc', 'select name as who from api.authors order by name desc'],
    ['books?select=id&order=id&limit=2', 'select id from api.books order by id limit 2'],
    ['books?select=id&order=id&limit=2&offset=1', 'select id from api.books order by id limit 2 offset 1'],
    ['books?select=id&order=id&offset=3', 'select id from api.books order by id offset 3'],
    ['books?select=id&limit=0', 'select id from api.books limit 0'],
  ])('%s', async (path, hand) => {
    expect(await rowsOf(path)).toEqual(await sql(hand))
  })

  it('never gives more rows than the limit of the server, nor do lists inside', async () => {
    const options = { options: { maxRows: 2 } }
    expect(await get('books?select=id&order=id&limit=9', options)).toEqual([{ id: 1 }, { id: 2 }])
    expect(await get('nodes?select=id,nodes(id)&nodes.order=id&id=eq.1', { options: { maxRows: 1 } })).toEqual([
      { id: 1, nodes: [{ id: 2 }] },
    ])
    expect(await get('rpc/numbers?upto=5', options)).toEqual([1, 2])
  })
})

describe('count', () => {
  const total = async (path: string, count: string, maxRows?: number) => {
    const { result } = await ask(`GET /${path}`, { headers: { prefer: `count=${count}` }, options: { maxRows } })
    return [result.rows, result.total]
  }

  it.each([
    ['books?select=id', [4, 4]],
    ['books?select=id&limit=2', [2, 4]],
    ['books?select=id&limit=2&offset=3', [1, 4]],
    ['books?select=id&limit=2&offset=9', [0, 4]],
    ['books?select=id&limit=0', [0, 4]],
    ['books?select=id&price=gt.9&limit=1', [1, 2]],
    ['books?select=id,sales!inner(id)&limit=1', [1, 3]],
    ['books?select=id,sales!inner(id)&sales.amount=gt.6&limit=1', [1, 2]],
    ['books?select=id,genres!inner()&genres.name=eq.novel&limit=1', [1, 2]],
    ['books?select=id,sales()&sales=is.null&limit=0', [0, 1]],
    ['books?select=id,sales()&or=(sales.is.null,id.eq.1)&limit=0', [0, 2]],
    ['authors?select=id,books!books_author_id_fkey!inner(sales!inner(id))&limit=1', [1, 2]],
    ['authors?select=id,same_mood!inner(id)&limit=1', [1, 2]],
    ['books?select=author_id,count()&limit=1', [1, 3]],
    ['rpc/numbers?upto=7&limit=2', [2, 7]],
    ['rpc/books_of?author=1&price=gt.8&limit=0', [0, 1]],
  ])('exact, of %s', async (path, expected) => {
    expect(await total(path, 'exact')).toEqual(expected)
  })

  it('planned is what the planner expects, estimated is exact as far as the limit of rows', async () => {
    const [rows, planned] = await total('books?select=id&limit=1', 'planned')
    expect([rows, typeof planned]).toEqual([1, 'number'])
    expect(planned).not.toBe(4)
    expect(await total('books?select=id&limit=1', 'estimated', 1000)).toEqual([1, 4])
    expect((await total('books?select=id&limit=1', 'estimated', 2))[1]).toBeGreaterThan(4)
    expect(await total('books?select=id', 'none')).toEqual([4, undefined])
  })
})

describe('the form of the body', () => {
  const as = async (path: string, accept: string) => (await ask(`GET /${path}`, { headers: { accept } })).result
  const object = 'application/vnd.pgrst.object+json'

  it('is one object, of exactly one row', async () => {
    expect((await as('genres?id=eq.1', object)).body).toBe('{"id":1,"name":"novel"}')
    expect((await as('genres?select=n:name&id=eq.1', object)).body).toBe('{"n" : "novel"}')
    for (const [filter, rows] of [
      ['id=eq.9', 0],
      ['id=gt.1', 2],
    ] as const) {
      await expect(as(`genres?${filter}`, object)).rejects.toMatchObject({
        code: 'PGRST116',
        status: 406,
        details: `The result contains ${rows} rows`,
      })
    }
  })

  it('has no nulls where none are wanted', async () => {
    const array = 'application/vnd.pgrst.array+json;nulls=stripped'
    expect((await as('books?select=id,price,authors!books_author_id_fkey(name,born)&id=gt.2&order=id', array)).body).toBe(
      '[{"id":3,"price":9.99,"authors":{"name":"Bob","born":"1980-03-04"}},{"id":4}]',
    )
    expect((await as('books?select=i:id,price&id=eq.4', `${object};nulls=stripped`)).body).toBe('{"i":4}')
  })

  it('is CSV', async () => {
    expect((await as('authors?select=id,who:name,tags,home&order=id', 'text/csv')).body).toBe(
      'id,who,tags,home\n1,Ann,"{a,b}","(""Main St"",Perth)"\n2,Bob,{b},\n3,Cleo,,',
    )
    expect((await as('authors?id=eq.9', 'text/csv')).body).toBe('\n')
    expect((await as('rpc/numbers?upto=2', 'text/csv')).body).toBe('pgrst_scalar\n1\n2')
  })

  it('is GeoJSON only where postgis is there', async () => {
    await expect(as('genres', 'application/geo+json')).rejects.toMatchObject({
      cause: { code: '42883', message: expect.stringContaining('st_asgeojson') },
    })
  })

  it('is GeoJSON under the keys that are asked for', async () => {
    // What postgis has, as far as it shows here: the type, and the function that takes a row.
    await admin.query(`
      create type extensions.geometry as (x int, y int);
      create function extensions.st_asgeojson(record) returns text stable language plpgsql as $$ begin
        return json_build_object('type', 'Feature', 'geometry', '{"type":"Point"}'::json, 'properties', row_to_json($1)::jsonb - 'place');
      end $$;
      grant usage on schema extensions to service_role;
      create table api.shops (id int primary key, place extensions.geometry);
      grant select on api.shops to service_role;
      insert into api.shops values (1, row(1, 2))`)
    await reload()
    const features = async (path: string) => (await ask(`GET /${path}`, { headers: { accept: 'application/geo+json' } })).data
    const feature = (properties: object) => ({
      type: 'FeatureCollection',
      features: [{ type: 'Feature', geometry: { type: 'Point' }, properties }],
    })
    expect(await features('shops')).toEqual(feature({ id: 1 }))
    expect(await features('shops?select=number:id,place')).toEqual(feature({ number: 1 }))
    expect(await features('shops?select=id&id=eq.9')).toEqual({ type: 'FeatureCollection', features: [] })
  })

  it('is nothing for HEAD, whose rows are counted all the same', async () => {
    const { result } = await ask('HEAD /books?limit=2', { headers: { prefer: 'count=exact' } })
    expect(result).toMatchObject({ body: undefined, rows: 2, total: 4 })
  })

  it('is the plan where that is allowed', async () => {
    const plan = 'application/vnd.pgrst.plan+json; options=verbose|settings'
    const { body, media } = await as('genres', plan)
    expect(media).toMatchObject({ kind: 'plan', format: 'json' })
    expect(JSON.parse(String(body))).toMatchObject([{ Plan: { 'Node Type': 'Aggregate' }, Settings: {} }])
    expect((await as('genres', 'application/vnd.pgrst.plan; options=analyze')).body).toMatch(/actual [\s\S]*Execution Time/)
    await expect(ask('GET /genres', { headers: { accept: plan }, options: { plans: false } })).rejects.toMatchObject({
      code: 'PGRST107',
    })
  })

  it('is the first of those that are accepted', async () => {
    expect((await as('genres', 'text/plain, text/csv, */*')).media).toMatchObject({ kind: 'csv' })
    await expect(as('genres', 'text/plain')).rejects.toMatchObject({ code: 'PGRST107', status: 406 })
  })
})
