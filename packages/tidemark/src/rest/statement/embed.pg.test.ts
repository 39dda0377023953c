import { describe, expect, it } from 'vitest'
import { useLibrary } from '../testing/use-library.js'

const { ask, sql } = useLibrary()
const rowsOf = async (path: string) => (await ask(`GET /${path}`)).data

/** A related row as JSON, and a list of them. */
const one = (columns: string, from: string) => `(select row_to_json(q) from (select ${columns} from ${from}) q)`
const many = (columns: string, from: string) => `coalesce((select json_agg(q) from (select ${columns} from ${from}) q), '[]')`

describe('an embed', () => {
  const author = (columns: string) => one(columns, 'api.authors a where a.id = b.author_id')
  const books = (columns: string, more = '') => many(columns, `api.books b where b.author_id = a.id ${more} order by b.id`)

  it.each([
    ['books?select=title,authors!books_author_id_fkey(name)', `select title, ${author('name')} as authors from api.books b`],
    [
      'books?select=title,a:authors!author_id(name,who:name)',
      `select title, ${author('name, name as who')} as a from api.books b`,
    ],
    ['books?select=*,author_id(*)', `select *, ${author('*')} as author_id from api.books b`],
    [
      'books?select=authors!books_author_id_fkey(initials)',
      `select ${author('api.initials(a) as initials')} as authors from api.books b`,
    ],
    [
      'authors?select=name,books!books_author_id_fkey(*)&books.order=id',
      `select name, ${books('*')} as books from api.authors a`,
    ],
    [
      'authors?select=name,books!books_author_id_fkey(t:title)&books.order=id&books.price=gt.8',
      `select name, ${books('title as t', 'and price > 8')} as books from api.authors a`,
    ],
    [
      'authors?select=name,books!books_author_id_fkey(title)&books.order=id.desc&books.limit=1&books.offset=1',
      `select name, ${many('title', 'api.books b where b.author_id = a.id order by b.id desc limit 1 offset 1')} as books from api.authors a`,
    ],
    [
      'authors?select=name,books!books_author_id_fkey(title)&books.or=(price.gt.10,stock.eq.0)&books.order=id',
      `select name, ${books('title', 'and (price > 10 or stock = 0)')} as books from api.authors a`,
    ],
    [
      'books?select=title,genres(name)&genres.order=name&order=id',
      `select title, ${many('g.name', 'api.genres g join api.book_genres j on j.genre_id = g.id where j.book_id = b.id order by g.name')} as genres
         from api.books b order by id`,
    ],
    [
      'authors?select=name,profiles(bio)',
      `select name, ${one('bio', 'api.profiles p where p.author_id = a.id')} as profiles from api.authors a`,
    ],
    [
      'nodes?select=name,nodes(name),parent_id(name)&nodes.order=id&order=id',
      `select name, ${many('c.name', 'api.nodes c where c.parent_id = n.id order by c.id')} as nodes,
         ${one('p.name', 'api.nodes p where p.id = n.parent_id')} as parent_id from api.nodes n order by id`,
    ],
    [
      'authors?select=name,best_book(title),same_mood(name)&order=id',
      `select name, ${one('title', 'api.best_book(a)')} as best_book, ${many('s.name', 'api.same_mood(a) s')} as same_mood from api.authors a order by id`,
    ],
    [
      'cheap_books?select=title,authors(name)&order=id',
      `select title, ${author('name')} as authors from api.cheap_books b order by id`,
    ],
    [
      'authors?select=name,books!books_author_id_fkey(title,sales(day,amount),publishers(name))&books.order=id&books.sales.order=id&order=id',
      `select name, ${books(
        `title, ${many('day, amount', 'api.sales s where s.book_id = b.id order by s.id')} as sales,
           ${one('p.name', 'api.publishers p where p.id = b.publisher_id')} as publishers`,
      )} as books from api.authors a order by id`,
    ],
  ])('of %s', async (path, hand) => {
    expect(await rowsOf(path)).toEqual(await sql(hand))
  })

  it.each([
    [
      'authors?select=name,books!books_author_id_fkey!inner(title)&books.title=like.The*',
      [{ name: 'Ann', books: [{ title: 'The Quiet Sea' }] }],
    ],
    ['books?select=id,authors!books_author_id_fkey!inner(name)&authors.name=eq.Bob', [{ id: 3, authors: { name: 'Bob' } }]],
    [
      'books?select=id,authors!books_author_id_fkey(name)&authors.name=eq.Bob&id=lte.3&order=id',
      [
        { id: 1, authors: null },
        { id: 2, authors: null },
        { id: 3, authors: { name: 'Bob' } },
      ],
    ],
    [
      'books?select=id,genres!inner(name)&genres.id=eq.2&order=id',
      [
        { id: 1, genres: [{ name: 'nature' }] },
        { id: 3, genres: [{ name: 'nature' }] },
      ],
    ],
    ['books?select=id,sales!inner()&sales.amount=gt.6&order=id', [{ id: 1 }, { id: 2 }]],
    [
      'authors?select=name,books!books_author_id_fkey!inner(sales!inner(amount))&books.sales.amount=eq.1',
      [{ name: 'Bob', books: [{ sales: [{ amount: 1 }] }] }],
    ],
    ['authors?select=name,b:books!books_author_id_fkey!inner()&b.id=eq.3', [{ name: 'Bob' }]],
  ])('that must be there: %s', async (path, expected) => {
    expect(await rowsOf(path)).toEqual(expected)
  })

  it.each([
    ['books?select=id,authors!books_author_id_fkey()&authors=is.null', [4]],
    ['books?select=id,authors!books_author_id_fkey(name)&authors=not.is.null&order=id', [1, 2, 3]],
    ['books?select=id,sales()&sales=is.null', [4]],
    ['books?select=id,sales(id)&sales=is.not_null&order=id', [1, 2, 3]],
    ['books?select=id,sales()&sales.amount=gt.6&sales=not.is.null&order=id', [1, 2]],
    ['books?select=id,sales()&sales.amount=gt.6&or=(sales.is.null,id.eq.1)&order=id', [1, 3, 4]],
    ['books?select=id,...authors!books_author_id_fkey(name)&authors=is.null', [4]],
    ['books?select=id,...sales(amount)&sales=is.null', [4]],
    ['authors?select=id,p:profiles()&p=not.is.null', [1]],
    ['authors?select=id,same_mood()&same_mood=is.null', [1]],
    ['authors?select=id,best_book()&best_book=is.null', [3]],
  ])('is asked whether it is empty: %s', async (path, expected) => {
    expect(((await rowsOf(path)) as { id: number }[]).map(({ id }) => id)).toEqual(expected)
  })

  it('that is nothing but empty shows nothing', async () => {
    expect(await rowsOf('genres?select=id,book_genres(books())&id=eq.1')).toEqual([{ id: 1 }])
    expect(await rowsOf('genres?select=book_genres()&id=eq.1')).toEqual([{}])
    expect(await rowsOf('genres?select=id,...book_genres()&id=eq.1')).toEqual([{ id: 1 }])
  })

  it.each([
    ['books?select=id,authors!books_author_id_fkey(name)&order=authors(name).desc.nullslast,id', [3, 1, 2, 4]],
    ['books?select=id,a:authors!books_author_id_fkey(who:name)&order=a(who).nullsfirst,id', [4, 1, 2, 3]],
    ['books?select=id,authors!books_author_id_fkey()&order=authors(born).desc.nullslast,id', [3, 1, 2, 4]],
    ['books?select=id,authors!books_author_id_fkey(id)&order=authors(data->n).desc.nullslast,id', [3, 1, 2, 4]],
    ['books?select=id,...authors!books_author_id_fkey(who:name)&order=authors(who).desc.nullslast,id', [3, 1, 2, 4]],
    ['books?select=id,...authors!books_author_id_fkey(name)&order=authors(id).desc.nullslast,id', [3, 1, 2, 4]],
    ['books?select=id,authors!books_author_id_fkey(*)&order=authors(initials).desc.nullslast,id', [3, 1, 2, 4]],
    ['authors?select=id,best_book(title)&order=best_book(price).desc.nullslast', [1, 2, 3]],
  ])('orders: %s', async (path, expected) => {
    expect(((await rowsOf(path)) as { id: number }[]).map(({ id }) => id)).toEqual(expected)
  })

  it.each([
    [
      'authors?select=id,books!books_author_id_fkey(id)&order=books(id)',
      'PGRST118',
      "A related order on 'books' is not possible",
    ],
    ['authors?select=id&order=books(id)', 'PGRST108', "'books' is not an embedded resource in this request"],
    [
      'books?select=id,authors!books_author_id_fkey(id)&authors=eq.1',
      'PGRST120',
      "Bad operator on the 'authors' embedded resource",
    ],
    [
      'books?select=id,authors(id)',
      'PGRST201',
      "Could not embed because more than one relationship was found for 'books' and 'authors'",
    ],
    [
      'books?select=authors!author_id(id),authors!editor_id(id)',
      '42712',
      'table name "books_authors_1" specified more than once',
    ],
    [
      'publishers?select=books(a:authors!author_id(id),a:authors!editor_id(id))',
      '42712',
      'table name "books_a_2" specified more than once',
    ],
    ['books?select=id,nodes(id)', 'PGRST200', "Could not find a relationship between 'books' and 'nodes' in the schema cache"],
    ['rpc/add?a=1&select=id,nodes(id)', '42703', 'column add.id does not exist'],
    ['rpc/add?a=1&select=nodes(id)', 'PGRST200', "Could not find a relationship between 'add' and 'nodes' in the schema cache"],
  ])('is refused: %s', async (path, code, message) => {
    await expect(ask(`GET /${path}`)).rejects.toMatchObject({ code, message })
  })

  it('is bounded in number', async () => {
    const deep = (levels: number): string => (levels === 0 ? 'id' : `nodes(${deep(levels - 1)})`)
    await expect(ask(`GET /nodes?select=${deep(101)}`)).rejects.toMatchObject({ code: 'PGRST100' })
    expect(await rowsOf(`nodes?select=id,${deep(8)}&id=eq.4`)).toEqual([{ id: 4, nodes: [] }])
  })
})

describe('a spread embed', () => {
  it.each([
    [
      'books?select=title,...authors!books_author_id_fkey(author:name,mood)&order=id',
      'select title, a.name as author, mood from api.books b left join api.authors a on a.id = b.author_id order by b.id',
    ],
    [
      'books?select=id,...publishers!inner(*)&order=id',
      'select b.id, p.* from api.books b join api.publishers p on p.id = b.publisher_id order by b.id',
    ],
    [
      'sales?select=id,...books(title,...authors!books_author_id_fkey(name))&order=id',
      'select s.id, title, name from api.sales s join api.books b on b.id = book_id left join api.authors a on a.id = author_id order by s.id',
    ],
    [
      'sales?select=id,...books(authors!books_author_id_fkey(name))&order=id',
      `select s.id, ${one('name', 'api.authors a where a.id = b.author_id')} as authors from api.sales s join api.books b on b.id = book_id order by s.id`,
    ],
    [
      'authors?select=name,...books!books_author_id_fkey(title,price)&books.order=id.desc&order=id',
      `select name, coalesce((select json_agg(title order by id desc) from api.books where author_id = a.id), '[]') as title,
         coalesce((select json_agg(price order by id desc) from api.books where author_id = a.id), '[]') as price from api.authors a order by id`,
    ],
    [
      'books?select=id,...genres(genre:name)&genres.order=id&order=id',
      `select id, coalesce((select json_agg(name order by g.id) from api.genres g join api.book_genres on genre_id = g.id where book_id = b.id), '[]') as genre
         from api.books b order by id`,
    ],
    [
      'books?select=id,book_genres(...genres(name),weight)&id=eq.1',
      `select id, ${many('name, weight', 'api.book_genres j join api.genres g on g.id = genre_id where book_id = b.id')} as book_genres from api.books b where id = 1`,
    ],
    [
      'authors?select=name,...books!books_author_id_fkey!inner(title)&books.stock=eq.0',
      `select 'Ann' as name, '["The Quiet Sea"]'::json as title`,
    ],
  ])('of %s', async (path, hand) => {
    expect(await rowsOf(path)).toEqual(await sql(hand))
  })

  it('of many inside one of many is a list of lists', async () => {
    expect(
      await rowsOf(
        'authors?select=name,...books!books_author_id_fkey(title,...sales(amount))&id=eq.1&books.order=id&books.sales.order=id',
      ),
    ).toEqual([{ name: 'Ann', title: ['Running Tides', 'The Quiet Sea'], amount: [[10, 5], [7]] }])
  })
})

describe('aggregates', () => {
  it.each([
    ['books?select=count()', 'select count(*) from api.books'],
    ['books?select=count', 'select count(*) from api.books'],
    [
      'books?select=n:count(),author_id&order=author_id',
      'select count(*) as n, author_id from api.books group by author_id order by author_id',
    ],
    ['books?select=count()::text', 'select count(*)::text from api.books'],
    [
      'books?select=price.sum(),price.avg(),price.min(),price.max(),price.count()',
      'select sum(price), avg(price), min(price), max(price), count(price) from api.books',
    ],
    [
      'books?select=total:price.sum()::int,author_id&order=author_id.desc.nullslast',
      'select sum(price)::int as total, author_id from api.books group by author_id order by author_id desc nulls last',
    ],
    ['authors?select=data->>n::int.sum()', "select sum((data->>'n')::int) from api.authors"],
    [
      'authors?select=data->>n,count()&order=data->>n',
      "select data->>'n' as n, count(*) from api.authors group by data->>'n' order by data->>'n'",
    ],
    [
      'books?select=author_id,n:count()&order=n.desc,author_id&limit=1',
      'select author_id, count(*) as n from api.books group by author_id order by n desc, author_id limit 1',
    ],
    ['genres?select=*,count()&order=id', 'select id, name, count(*) from api.genres group by id order by id'],
    [
      'books?select=id,sales(amount.sum(),count())&order=id',
      `select id, ${many('sum(amount), count(*)', 'api.sales where book_id = b.id')} as sales from api.books b order by id`,
    ],
    [
      'books?select=id,sales(count)&order=id',
      `select id, ${many('count(*)', 'api.sales where book_id = b.id')} as sales from api.books b order by id`,
    ],
    [
      'sales?select=amount.sum(),books(title)&order=books(title)',
      `select sum(amount), row_to_json(row(title))::jsonb - 'f1' || jsonb_build_object('title', title) as books
         from api.sales s join api.books b on b.id = book_id group by title order by title`,
    ],
    [
      'sales?select=amount.sum(),...books(title)&order=books(title)',
      'select sum(amount), title from api.sales s join api.books b on b.id = book_id group by title order by title',
    ],
    [
      'sales?select=...books(title,n:count())&order=books(title)',
      'select title, count(*) as n from api.sales s join api.books b on b.id = book_id group by title order by title',
    ],
    [
      'sales?select=...books(...authors!books_author_id_fkey(name,count()),stock.max())&order=books(name)',
      'select name, count(*), max(stock) from api.sales s join api.books b on b.id = book_id join api.authors a on a.id = author_id group by name order by name',
    ],
    [
      'authors?select=name,books!books_author_id_fkey(...publishers(name),stock.sum())&books.order=publishers(name)&order=id',
      `select name, ${many('p.name, sum(stock)', 'api.books b left join api.publishers p on p.id = publisher_id where author_id = a.id group by p.name order by p.name')} as books from api.authors a order by id`,
    ],
    ['rpc/books_of?author=1&select=price.max()', 'select max(price) from api.books where author_id = 1'],
  ])('%s', async (path, hand) => {
    expect(await rowsOf(path)).toEqual(await sql(hand))
  })

  it('are refused where they are off, the old count of related rows apart', async () => {
    const options = { options: { aggregates: false } }
    for (const path of [
      'books?select=count()',
      'books?select=price.sum()',
      'authors?select=id,books!books_author_id_fkey(price.sum())',
    ])
      await expect(ask(`GET /${path}`, options)).rejects.toMatchObject({ code: 'PGRST123' })
    expect((await ask('GET /books?select=id,sales(count)&id=eq.4', options)).data).toEqual([{ id: 4, sales: [{ count: 0 }] }])
  })

  it('over a list that is spread are not there', async () => {
    await expect(ask('GET /authors?select=id,...books!books_author_id_fkey(price.sum())')).rejects.toMatchObject({
      code: 'PGRST127',
      details: 'Aggregates are not implemented for one-to-many or many-to-many spreads.',
    })
  })
})
